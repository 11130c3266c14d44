"""The run folder: the resolved configuration, where it came from, the environment and the metrics."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import Logger

from ...config import Composed, Config, plain
from ...environment import environment
from ...files import remove_partial, whole_file, whole_folder

CONFIG = "config.yaml"
SOURCES = "sources.json"
TAKEN = "taken.json"


class Run:
    """A training run's folder.

    Attributes:
        checkpoints, model, best, pictures: where these lie in it.
        logger: who gets the metrics and pictures too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.model = folder / "model"
        self.best = folder / "best"
        self.pictures = folder / "pictures"
        self.logger: Logger | None = None
        self._metrics = folder / "metrics.jsonl"

    def start(self, composed: Composed[Config], taken: Sequence[str] = ()) -> None:
        """Make the folder, with the names of weights that a trained model gave; `VartkError` if it exists."""
        with whole_folder(self.folder) as aside:
            (aside / CONFIG).write_text(_yaml(composed.config))
            (aside / SOURCES).write_text(json.dumps(composed.sources, indent=1))
            (aside / "environment.json").write_text(json.dumps(dict(environment()), indent=1))
            if taken:
                (aside / TAKEN).write_text(json.dumps(list(taken), indent=1))

    def taken(self) -> list[str]:
        """Return the names of the weights that a trained model gave."""
        path = self.folder / TAKEN
        return json.loads(path.read_text()) if path.is_file() else []

    def go_on(self, composed: Composed[Config], step: int) -> None:
        """Take the run up after `step`: later metrics, which will be made again, are forgotten.

        Keys that were given anew are written to the configuration, with where they came from.
        """
        remove_partial(self.folder)
        own, before = str(self.folder / CONFIG), json.loads((self.folder / SOURCES).read_text())
        sources = {
            key: before.get(key, source) if source == own else source
            for key, source in composed.sources.items()
        }
        lines = [json.dumps(line) for line in self.metrics() if line["step"] <= step]
        for path, text in (
            (self.folder / CONFIG, _yaml(composed.config)),
            (self.folder / SOURCES, json.dumps(sources, indent=1)),
            (self._metrics, "".join(f"{line}\n" for line in lines)),
        ):
            with whole_file(path) as aside:
                aside.write_text(text)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line of metrics; what is not finite becomes null, as JSON has no word for it."""
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        line = {"step": step, **finite}
        try:
            with self._metrics.open("a") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise VartkError(f"{self._metrics} could not be written: {error.strerror}") from error
        if self.logger is not None:
            self.logger.log(step, values)

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
        if self.logger is not None:
            self.logger.picture(step, image)
        return path


def _yaml(config: Config) -> str:
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(plain(config))
