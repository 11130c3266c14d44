"""Datasets: images with labels or captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Example:
    """One image, RGB of any size, with the index of its class and a caption ("" where there is none).

    `others` are more captions of the same image. Training draws one of all at each use; whatever needs one
    caption takes `caption`.
    """

    image: Image
    label: int = 0
    caption: str = ""
    others: tuple[str, ...] = ()

    @property
    def both(self) -> tuple[int, str]:
        """The label and the caption, for conditioners that take both."""
        return self.label, self.caption


@runtime_checkable
class ImageDataset(Protocol):
    """Component kind `dataset`; built with `split`, "train" or "validation".

    Its order is fixed, so that a seed decides what a training run sees.
    """

    classes: list[str]
    """The names of the classes, by index."""

    skipped: list[str]
    """What could not be read, one line each: the name and why. The rest is used."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...


@runtime_checkable
class SizedDataset(ImageDataset, Protocol):
    """A dataset that tells the size of an image without decoding it, as buckets of ratios need it."""

    def shape(self, index: int) -> tuple[int, int]:
        """Return the height and width of an image in pixels."""
        ...
