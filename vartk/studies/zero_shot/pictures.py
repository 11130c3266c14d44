"""Held-out pictures, and what is measured of others beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from vartk_registry.interfaces import Feature, ImageDataset

from ...components import plugins
from ...config import EvalConfig
from ...engine.build import grid
from ...engine.data import Images
from ...engine.recipes import open_datasets
from ...engine.sets import Seen, set_distances

AT_ONCE = 64
"""Pictures that a network sees at once."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Held-out pictures, drawn at random.

    Attributes:
        true: [N, 3, H, W] in [0, 1].
        labels: their classes.
        classes: the names of all.
        feature: for distances.
        training: the pictures that the model was trained on.
    """

    true: torch.Tensor
    labels: list[int]
    classes: list[str]
    feature: Feature
    training: Images

    @classmethod
    def drawn(cls, config: EvalConfig, count: int, seed: int = 0) -> Pictures:
        """Return `count` pictures of a dataset's validation split, or all of them.

        Raises:
            VartkError: there is no such dataset or feature.
        """
        opened: Mapping[str, ImageDataset] = open_datasets(config, lambda line: None)
        images = {split: Images(dataset, grid(config.image_size)) for split, dataset in opened.items()}
        held_out = images["validation"]
        order = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(seed))
        chosen = order[:count].tolist()
        true = torch.stack([held_out[index] for index in chosen])
        labels = [held_out.dataset[index].label for index in chosen]
        feature = plugins().registry.build("feature", config.feature.name, config.feature.params)
        return cls((true + 1) / 2, labels, held_out.dataset.classes, feature, images["train"])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        h, w = self.true.shape[-2:]
        return h, w

    def frechet(self, made: torch.Tensor) -> float:
        """Return FD between images and the true pictures."""
        seen = [Seen.of(self.feature, images) for images in (made, self.true)]
        return max(0.0, set_distances(plugins().registry, ["fd"], *seen)["fd"])

    @torch.no_grad()
    def perceptual(self, made: torch.Tensor) -> float:
        """Return the mean perceptual distance of images and the true pictures, with the feature."""
        pairs = zip(made.split(AT_ONCE), self.true.split(AT_ONCE), strict=True)
        return torch.cat([self.feature.distance(*pair) for pair in pairs]).mean().item()


def psnr(made: torch.Tensor, true: torch.Tensor, where: torch.Tensor | None = None) -> float | None:
    """Return the mean PSNR in dB of images where a mask [H, W] is 1, or None for equal ones."""
    wrong = (made - true).square().mean(1)
    where = torch.ones(wrong.shape[-2:]) if where is None else where
    mean = (wrong * where).sum((1, 2)) / where.sum()
    value = (-10 * mean.log10()).mean().item()
    return None if value == float("inf") else value


def seam(images: torch.Tensor, mask: torch.Tensor) -> float:
    """Return the mean difference of neighbours of which a mask [H, W] covers one, in levels of 8 bits."""
    differences = []
    for axis in (-2, -1):
        count = mask.shape[axis] - 1
        edge = mask.narrow(axis, 0, count) != mask.narrow(axis, 1, count)
        step = images.narrow(axis, 0, count) - images.narrow(axis, 1, count)
        differences.append(step.abs()[..., edge].flatten())
    return 255 * torch.cat(differences).mean().item()
