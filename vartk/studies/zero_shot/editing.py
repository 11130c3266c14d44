"""Class-conditional editing: how often a classifier of the groups sees the new one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from ...engine.model import Model
from .measured import Measured
from .pictures import AT_ONCE, Pictures

MARGIN = 6 / 64
"""Room around the box that is drawn anew, as a share of the sides."""

FURTHER = 3
"""The new group is the third after the old one, in the same style."""


class GroupClassifier:
    """Tells the groups of a dataset's classes apart: a linear layer on a feature, fitted by L-BFGS.

    Args:
        pictures: hold the feature, the classes and the training pictures.
        count: training pictures, at most.
    """

    def __init__(self, pictures: Pictures, count: int) -> None:
        self._feature = pictures.feature
        groups, images = groups_of(pictures.classes), pictures.training
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        chosen = order[:count].tolist()
        parts = [chosen[start : start + AT_ONCE] for start in range(0, len(chosen), AT_ONCE)]
        features = torch.cat([self._seen(torch.stack([images[i] for i in part])) for part in parts])
        target = torch.tensor([groups[images.dataset[i].label] for i in chosen])
        self._mean, self._scale = features.mean(0), features.std(0) + 1e-6
        self._layer = torch.nn.Linear(features.shape[1], max(groups) + 1)
        optimizer = torch.optim.LBFGS(self._layer.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            made = F.cross_entropy(self._layer(self._normal(features)), target)
            made = made + 1e-3 * self._layer.weight.square().sum()
            made.backward()
            return made

        optimizer.step(loss)

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the groups [N] that images [N, 3, H, W] in [0, 1] are seen as."""
        features = torch.cat([self._seen(part * 2 - 1) for part in images.split(AT_ONCE)])
        return self._layer(self._normal(features)).argmax(1)

    @torch.no_grad()
    def _seen(self, images: torch.Tensor) -> torch.Tensor:
        return self._feature.pooled((images + 1) / 2).float()

    def _normal(self, features: torch.Tensor) -> torch.Tensor:
        return (features - self._mean) / self._scale


def editing(model: Model, pictures: Pictures, training: int) -> Measured:
    """Measure how often each sort of image is seen as its new group.

    Args:
        training: pictures that the classifier is fitted to, at most.
    """
    classifier = GroupClassifier(pictures, training)
    groups, (h, w) = groups_of(pictures.classes), pictures.size
    styles = len(pictures.classes) // (max(groups) + 1)
    further = min(FURTHER, max(groups))
    targets = [(label + further * styles) % len(pictures.classes) for label in pictures.labels]
    old, new = (torch.tensor([groups[label] for label in of]) for of in (pictures.labels, targets))
    top, left = round(MARGIN * h), round(MARGIN * w)
    mask = torch.zeros(h, w)
    mask[top : h - top, left : w - left] = 1
    images = pictures.true * 2 - 1
    made = {
        "true pictures": pictures.true,
        "samples of the new class": model.sample(targets).images,
        "`vartk edit`": model.inpaint(images, mask, targets).images,
        "`vartk edit guidance.scale=3`": model.inpaint(images, mask, targets, guidance=3).images,
        "`vartk edit --composite codes`": model.inpaint(images, mask, targets, composite="codes").images,
    }
    rows = []
    for way, each in made.items():
        seen = classifier(each)
        rows.append({"way": way, "new": _share(seen == new), "old": _share(seen == old)})
    title = f"Editing: the middle {h - 2 * top}x{w - 2 * left} of {h}x{w} pixels under another group"
    return Measured(title, rows, made)


def groups_of(classes: Sequence[str]) -> list[int]:
    """Return the index of the group of each class: what is before a hyphen, as in food-noto, or the class."""
    names = [name.partition("-")[0] for name in classes]
    order = list(dict.fromkeys(names))
    return [order.index(name) for name in names]


def _share(hits: torch.Tensor) -> float:
    return hits.float().mean().item()
