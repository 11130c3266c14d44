"""The logger `my-name`."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image


class MyComponent:
    """Rows of numbers in one file of the run folder, and the pictures beside it.

    Args:
        folder: the run folder.
        config: the run's configuration.
        step: the step after which the run goes on.
        file: name of the file.
    """

    def __init__(self, *, folder: Path, config: Mapping[str, Any], step: int, file: str) -> None:
        self._folder = folder
        self._file = (folder / file).open("a", newline="")
        self._rows = csv.writer(self._file)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write a row for each number."""
        self._rows.writerows((step, name, value) for name, value in values.items())
        self._file.flush()  # so that it can be watched while the run goes on

    def picture(self, step: int, image: torch.Tensor) -> None:
        """Write a picture [3, H, W] in [0, 1]."""
        pixels = (255 * image.clamp(0, 1)).round().byte().permute(1, 2, 0)
        Image.fromarray(pixels.cpu().numpy()).save(self._folder / f"my-name-{step:07}.png")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
