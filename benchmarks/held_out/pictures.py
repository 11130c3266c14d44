"""The held-out pictures, and what is measured of others beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from vartk.components import plugins
from vartk.engine.data import Images
from vartk.engine.sets import Seen, set_distances
from vartk_registry.interfaces import Feature

DATA = {"classes": "group-style"}
"""The classes of emoji64, such as `food-noto`."""

SIZE = (64, 64)


def images_of(split: str) -> Images:
    """Return the images of a split of emoji64's data."""
    return Images(plugins().registry.build("dataset", "emoji64", DATA, split=split), SIZE)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Held-out pictures, drawn at random.

    Attributes:
        true: [N, 3, H, W] in [0, 1].
        labels: their classes.
        classes: the names of all.
        feature: for distances.
    """

    true: torch.Tensor
    labels: list[int]
    classes: list[str]
    feature: Feature

    @classmethod
    def drawn(cls, count: int, seed: int = 0) -> Pictures:
        """Return `count` pictures of the validation split."""
        images = images_of("validation")
        chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count].tolist()
        true = torch.stack([images[index] for index in chosen])
        labels = [images.dataset[index].label for index in chosen]
        feature: Any = plugins().registry.build("feature", "elite0", {})
        return cls((true + 1) / 2, labels, images.dataset.classes, feature)

    def frechet(self, made: torch.Tensor) -> float:
        """Return FD-ELite0 between images and the true pictures."""
        seen = [Seen.of(self.feature, images) for images in (made, self.true)]
        return max(0.0, set_distances(plugins().registry, ["fd"], *seen)["fd"])

    @torch.no_grad()
    def perceptual(self, made: torch.Tensor) -> float:
        """Return the mean perceptual distance of images and the true pictures, with ELite0."""
        pairs = zip(made.split(64), self.true.split(64), strict=True)
        return torch.cat([self.feature.distance(*pair) for pair in pairs]).mean().item()


def psnr(made: torch.Tensor, true: torch.Tensor, where: torch.Tensor | None = None) -> float:
    """Return the mean PSNR in dB of images, infinite for equal ones, where a mask [H, W] is 1."""
    wrong = (made - true).square().mean(1)
    where = torch.ones(wrong.shape[-2:]) if where is None else where
    mean = (wrong * where).sum((1, 2)) / where.sum()
    return (-10 * mean.log10()).mean().item()


def seam(images: torch.Tensor, mask: torch.Tensor) -> float:
    """Return the mean difference of neighbours of which a mask [H, W] covers one, in levels of 8 bits."""
    differences = []
    for axis in (-2, -1):
        count = mask.shape[axis] - 1
        edge = mask.narrow(axis, 0, count) != mask.narrow(axis, 1, count)
        step = images.narrow(axis, 0, count) - images.narrow(axis, 1, count)
        differences.append(step.abs()[..., edge].flatten())
    return 255 * torch.cat(differences).mean().item()
