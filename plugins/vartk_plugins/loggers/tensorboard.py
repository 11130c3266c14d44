"""Training runs in TensorBoard: `tensorboard --logdir RUN`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter


class TensorBoardLogger:
    """Writes scalars, pictures and the configuration to `folder`/tensorboard."""

    def __init__(self, *, folder: Path, config: Mapping[str, Any], step: int) -> None:
        # what a killed run wrote after its last checkpoint is made again, and must not be shown twice
        self._writer = SummaryWriter(folder / "tensorboard", purge_step=step + 1)
        self._writer.add_text("config", f"```\n{json.dumps(config, indent=1)}\n```", step)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write scalars, at once: a kill loses none of them."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def picture(self, step: int, image: torch.Tensor) -> None:
        """Write an image [3, H, W] in [0, 1]."""
        self._writer.add_image("picture", image, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
