"""Class-conditional editing: how often a classifier of the groups sees the new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.nn import functional as F

from vartk.engine.model import Model
from vartk.tables import Table

from .pictures import Pictures, images_of

HEADINGS = ("images", "seen as the new group", "seen as the old group")
MARGIN = 6
"""Pixels around the box that is drawn anew: it has the middle 52 of 64."""


class GroupClassifier:
    """Tells the groups of emoji apart: a linear layer on the features of ELite0, fitted by L-BFGS.

    Args:
        pictures: hold the feature and the classes.
        count: training pictures, at most.
    """

    def __init__(self, pictures: Pictures, count: int) -> None:
        self._feature = pictures.feature
        self._groups = _groups(pictures.classes)
        images = images_of("train")
        chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count].tolist()
        seen = [self._seen(torch.stack([images[i] for i in part])) for part in _parts(chosen, 64)]
        features = torch.cat(seen)
        target = torch.tensor([self.group(images.dataset[i].label) for i in chosen])
        self._mean, self._scale = features.mean(0), features.std(0) + 1e-6
        self._layer = torch.nn.Linear(features.shape[1], int(max(self._groups)) + 1)
        optimizer = torch.optim.LBFGS(self._layer.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            made = F.cross_entropy(self._layer(self._normal(features)), target)
            made = made + 1e-3 * self._layer.weight.square().sum()
            made.backward()
            return made

        optimizer.step(loss)

    def group(self, label: int) -> int:
        """Return the group of a class."""
        return self._groups[label]

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the groups [N] that images [N, 3, H, W] in [0, 1] are seen as."""
        features = torch.cat([self._seen(part * 2 - 1) for part in images.split(64)])
        return self._layer(self._normal(features)).argmax(1)

    @torch.no_grad()
    def _seen(self, images: torch.Tensor) -> torch.Tensor:
        return self._feature.pooled((images + 1) / 2).float()

    def _normal(self, features: torch.Tensor) -> torch.Tensor:
        return (features - self._mean) / self._scale


def table(model: Model, pictures: Pictures, training: int) -> tuple[Table, dict[str, torch.Tensor]]:
    """Return how often each sort of image is seen as its new group, and the images."""
    classifier = GroupClassifier(pictures, training)
    groups = _groups(pictures.classes)
    styles = len(pictures.classes) // (max(groups) + 1)
    # the next group but three, in the same style
    targets = [(label + 3 * styles) % len(pictures.classes) for label in pictures.labels]
    old, new = (torch.tensor([groups[label] for label in of]) for of in (pictures.labels, targets))
    mask = torch.zeros(64, 64)
    mask[MARGIN:-MARGIN, MARGIN:-MARGIN] = 1
    images = pictures.true * 2 - 1
    made = {
        "true pictures": pictures.true,
        "samples of the new class": model.sample(targets).images,
        "`vartk edit`": model.inpaint(images, mask, targets).images,
        "`vartk edit guidance.scale=3`": model.inpaint(images, mask, targets, guidance=3).images,
        "`vartk edit --composite codes`": model.inpaint(images, mask, targets, composite="codes").images,
    }
    rows: list[Sequence[str]] = []
    for name, each in made.items():
        seen = classifier(each)
        rows.append((name, f"{_share(seen == new):.1%}", f"{_share(seen == old):.1%}"))
    title = f"Editing: the middle {64 - 2 * MARGIN} of 64 pixels under another group"
    return Table(HEADINGS, rows, title), made


def _share(hits: torch.Tensor) -> float:
    return hits.float().mean().item()


def _groups(classes: Sequence[str]) -> list[int]:
    """Return the index of the group of each class; a class is a group, a hyphen and a style."""
    names = [name.partition("-")[0] for name in classes]
    order = list(dict.fromkeys(names))
    return [order.index(name) for name in names]


def _parts(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
