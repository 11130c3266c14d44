"""Sets of finished images that are read in batches: folders, npz files, splits of a dataset.

- `archive`: npz files in the layout of the ADM evaluation suite, read without holding them
- `folder`: image files
- `split`: a dataset's images, resized and cropped as a model sees them
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import torch

from vartk_registry import VartkError, shortened

from .archive import Archive
from .folder import Folder
from .split import Split

__all__ = ["Archive", "Folder", "Pictures", "Split", "class_remarks", "open_pictures", "spread"]


class Pictures(Protocol):
    """A set of images in an order.

    Attributes:
        labels: the class of each image, where it is known; empty where it is not.
        remarks: what is unusual about the files, as sentences; complete after all batches have been read.
    """

    labels: Sequence[int | str]
    remarks: list[str]

    def __len__(self) -> int: ...

    def batches(self, size: int) -> Iterator[torch.Tensor]:
        """Yield all images as [B, 3, H, W] in 8 bits, at most `size` at once; H and W may change."""
        ...


def open_pictures(path: Path) -> Pictures:
    """Open the images of an npz file, of a folder of npz files, or of a folder of image files.

    Raises:
        VartkError: there is nothing, or no image in it.
    """
    if path.is_file() and path.suffix == ".npz":
        return Archive([path])
    if path.is_dir():
        archives = sorted(path.glob("*.npz"))
        return Archive(archives) if archives else Folder(path)
    raise VartkError(f"there is no folder and no .npz file {shortened(path)}")


def class_remarks(labels: Sequence[int | str]) -> list[str]:
    """Return a sentence where the classes of images have different numbers of images."""
    counts = Counter(labels)
    if len(set(counts.values())) < 2:
        return []
    return [
        f"The {len(counts)} classes have {spread(list(counts.values()))} images each; published numbers "
        "have as many images of each class."
    ]


def spread(counts: Sequence[int]) -> str:
    """Return the range of numbers in words: one number, or "3 to 7"."""
    least, most = min(counts), max(counts)
    return f"{least}" if least == most else f"{least} to {most}"
