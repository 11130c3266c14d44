"""A dataset's images, as a model of one size sees them."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...engine.data import Images
from ...images import to_uint8


class Split:
    """All images of a split, resized to cover the size and cropped at the centre; see `Pictures`."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self.labels: list[int | str] = []
        self.remarks: list[str] = []

    def __len__(self) -> int:
        return len(self._images)

    def batches(self, size: int) -> Iterator[torch.Tensor]:
        """Yield all images as [B, 3, H, W] in 8 bits, at most `size` at once."""
        for start in range(0, len(self), size):
            rows = range(start, min(start + size, len(self)))
            yield to_uint8((torch.stack([self._images[row] for row in rows]) + 1) / 2)
