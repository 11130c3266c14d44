"""The run folder: the resolved configuration, where it came from, the environment and the metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError

from ...config import Composed, Config, plain
from ...environment import environment
from ..files import refuse_existing, whole_file


class Run:
    """A training run's folder.

    Attributes:
        checkpoints, model, pictures: where these lie in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.model = folder / "model"
        self.pictures = folder / "pictures"
        self._metrics = folder / "metrics.jsonl"

    def start(self, composed: Composed[Config]) -> None:
        """Make the folder; `VartkError` if it exists."""
        from omegaconf import OmegaConf

        refuse_existing(self.folder)
        with whole_file(self.folder / "config.yaml") as aside:
            aside.write_text(OmegaConf.to_yaml(plain(composed.config)))
        with whole_file(self.folder / "sources.json") as aside:
            aside.write_text(json.dumps(composed.sources, indent=1))
        with whole_file(self.folder / "environment.json") as aside:
            aside.write_text(json.dumps(dict(environment()), indent=1))

    def go_on(self, step: int) -> None:
        """Forget the metrics of steps after `step`, which will be made again."""
        lines = [json.dumps(line) for line in self.metrics() if line["step"] <= step]
        with whole_file(self._metrics) as aside:
            aside.write_text("".join(f"{line}\n" for line in lines))

    def log(self, values: dict[str, Any]) -> None:
        """Append one line of metrics."""
        try:
            with self._metrics.open("a") as file:
                file.write(json.dumps(values) + "\n")
        except OSError as error:
            raise VartkError(f"{self._metrics} could not be written: {error.strerror}") from error

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics; a last line that was cut off by a kill is left out."""
        if not self._metrics.exists():
            return []
        lines = []
        for line in self._metrics.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return lines

    def picture(self, step: int, image: torch.Tensor) -> Path:
        """Write a picture [3, H, W] in [0, 1] of a step, and return its path."""
        from ...images import save_image

        path = self.pictures / f"step-{step:08d}.png"
        save_image(image, path)
        return path
