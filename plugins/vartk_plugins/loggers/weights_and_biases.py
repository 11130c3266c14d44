"""Training runs in Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import wandb

from vartk_registry import VartkError

RUN_ID = "wandb-run-id.txt"


class WandbLogger:
    """A run of Weights & Biases, whose id is kept in the run folder so that it goes on there.

    Steps that a resumed run makes again stay as they were logged first. Offline, each start writes a
    folder of its own with that id.

    Raises:
        VartkError: the run cannot begin: nobody is logged in, or the network is gone.
    """

    def __init__(
        self,
        *,
        project: str,
        entity: str | None,
        run_name: str | None,
        mode: str,
        folder: Path,
        config: Mapping[str, Any],
        step: int,
    ) -> None:
        known = folder / RUN_ID
        try:
            self._run = wandb.init(
                project=project,
                entity=entity,
                name=run_name,
                mode=mode,
                dir=folder,
                config=dict(config),
                id=known.read_text().strip() if known.exists() else None,
                resume=None if mode == "disabled" else "allow",
                settings=wandb.Settings(console="off"),  # progress bars are no record
            )
        except wandb.Error as error:
            reason = str(error).rstrip(".")
            raise VartkError(f"{reason}; type `wandb login`, or log with mode=offline") from error
        known.write_text(self._run.id)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers."""
        self._run.log(dict(values), step=step)

    def picture(self, step: int, image: torch.Tensor) -> None:
        """Log an image [3, H, W] in [0, 1]."""
        pixels_HWC = (image.permute(1, 2, 0) * 255).round().byte().cpu().numpy()
        self._run.log({"picture": wandb.Image(pixels_HWC)}, step=step)

    def close(self) -> None:
        """Upload what is left."""
        self._run.finish()
