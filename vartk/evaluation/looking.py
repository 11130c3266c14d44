"""What a feature sees of a set of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import Feature, Grid

from ..engine.sets import Seen
from ..tasks.sample import Bar
from .pictures import Pictures


@dataclass(frozen=True, slots=True)
class Look:
    """A feature on a device, the kinds of vectors it is asked for, and the images it sees at once."""

    feature: Feature
    device: torch.device
    kinds: Sequence[str]
    batch: int
    add_bar: Callable[[str, int], Bar]

    def at(self, title: str, pictures: Pictures) -> tuple[Seen, list[Grid]]:
        """Return the vectors of all images, and the sizes (height, width) that they have.

        Raises:
            VartkError: there is no image, or one is damaged.
        """
        if not len(pictures):
            raise VartkError(f"there is no image among the {title}")
        bar, done = self.add_bar(title, len(pictures)), 0
        parts: list[Seen] = []
        sizes: dict[Grid, None] = {}
        for images in pictures.batches(self.batch):
            h, w = images.shape[-2:]
            sizes[h, w] = None
            parts.append(Seen.of(self.feature, images.to(self.device) / 255, self.kinds))
            done += len(images)
            bar.update(done)
        return Seen.joined(parts), list(sizes)
