"""A share of a dataset, so that training on less data can be compared with training on all of it."""

from __future__ import annotations

import random

from vartk_registry import VartkError
from vartk_registry.interfaces import Example, ImageDataset


class Share:
    """A part of a dataset's images, drawn at random; see `ImageDataset`.

    Shares with one seed are nested: a smaller one is a part of a larger one. A class has its number of
    images by chance, in proportion on average.

    Args:
        share: from 0 to 1, of the images; rounded to a whole number of them.

    Raises:
        VartkError: the share is less than one image.
    """

    def __init__(self, dataset: ImageDataset, share: float, seed: int) -> None:
        count = round(share * len(dataset))
        if not count:
            raise VartkError(
                f"data.share={share:g} of {len(dataset)} training images is less than one; take at least "
                f"{1 / max(len(dataset), 1):.2g}"
            )
        self._dataset = dataset
        order = random.Random(seed).sample(range(len(dataset)), len(dataset))
        self._chosen = sorted(order[:count])
        self.classes = dataset.classes
        self.skipped = dataset.skipped

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Example:
        return self._dataset[self._chosen[index]]
