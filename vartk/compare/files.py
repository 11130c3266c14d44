"""What a comparison keeps while it runs, so that the same command goes on where one was stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError

from ..evaluation import Seen
from ..files import (
    file_name,
    load_tensors,
    refuse_existing,
    remove_partial,
    save_tensors,
    whole_file,
    whole_folder,
)
from ..tasks.begun import require_same

FOLDER = "kept"
BEGUN = "begun.json"
REAL = "real.safetensors"
MEMORY = "memory.json"


class Kept:
    """The folder `kept` of a comparison's folder.

    Args:
        out: the comparison's folder.
        made_by: everything that decides the images and their times, as JSON holds it.

    Raises:
        VartkError: `out` holds something else, or a comparison that other settings have begun.
    """

    def __init__(self, out: Path, made_by: Mapping[str, Any]) -> None:
        self.out = out
        self._folder = out / FOLDER
        self._made_by = json.loads(json.dumps(made_by))
        self.labels: list[int | str] | None = None
        """The conditions of the images, once they are chosen."""
        if out.is_dir():
            remove_partial(out)
        if not (self._folder / BEGUN).is_file():
            refuse_existing(out)
            return
        begun = self._read(self._folder / BEGUN)
        self.labels = begun.pop("labels")
        require_same(begun, self._made_by, out, "a comparison")

    @property
    def real(self) -> Seen | None:
        """What was seen of real images, in random order; None where there are none."""
        path = self._folder / REAL
        return Seen(load_tensors(path)) if path.is_file() else None

    def begin(self, labels: list[int | str], real: Seen | None) -> None:
        """Keep the settings, the conditions of the images, and what was seen of real ones."""
        with whole_folder(self._folder) as aside:
            if real is not None:
                save_tensors(real.vectors, aside / REAL)
            (aside / BEGUN).write_text(json.dumps({**self._made_by, "labels": labels}, indent=1))
        self.labels = labels

    def has(self, way: str, start: int) -> bool:
        """Return whether the batch of a way that begins at an image is there."""
        return self._batch(way, start).is_file()

    def read(self, way: str, start: int) -> dict[str, torch.Tensor]:
        """Return the tensors of a batch."""
        return load_tensors(self._batch(way, start))

    def keep(self, way: str, start: int, tensors: Mapping[str, torch.Tensor]) -> None:
        """Write the tensors of a batch, all or none."""
        save_tensors(tensors, self._batch(way, start))

    def memory(self, way: str) -> int | str | None:
        """Return a way's peak memory in bytes, or why it has none; None before it was measured."""
        path = self._of(way) / MEMORY
        return self._read(path) if path.is_file() else None

    def keep_memory(self, way: str, found: int | str) -> None:
        """Write a way's peak memory in bytes, or why it has none."""
        with whole_file(self._of(way) / MEMORY) as aside:
            aside.write_text(json.dumps(found))

    def _batch(self, way: str, start: int) -> Path:
        return self._of(way) / f"{start:06d}.safetensors"

    def _of(self, way: str) -> Path:
        return self._folder / "ways" / file_name(way)

    def _read(self, path: Path) -> Any:
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise VartkError(f"{path} cannot be read: {error}; remove {self.out}, or give another") from error
