"""Class-conditional editing: how often a classifier of the groups sees the new one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...engine.model import Model
from ...evaluation.classifier import LinearClassifier, features_of
from .measured import Measured
from .pictures import AT_ONCE, Pictures

MARGIN = 6 / 64
"""Room around the box that is drawn anew, as a share of the sides."""

FURTHER = 3
"""The new group is the third after the old one, in the same style."""


def editing(model: Model, pictures: Pictures, training: int) -> Measured:
    """Measure how often each sort of image is seen as its new group.

    Args:
        training: pictures that the classifier is fitted to, at most.
    """
    groups, (h, w) = groups_of(pictures.classes), pictures.size
    classifier = _classifier_of(pictures, groups, training)
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
        seen = classifier(features_of(pictures.feature, each))
        rows.append({"way": way, "new": _share(seen == new), "old": _share(seen == old)})
    title = f"Editing: the middle {h - 2 * top}x{w - 2 * left} of {h}x{w} pixels under another group"
    return Measured(title, rows, made)


def groups_of(classes: Sequence[str]) -> list[int]:
    """Return the index of the group of each class: what is before a hyphen, as in food-noto, or the class."""
    names = [name.partition("-")[0] for name in classes]
    order = list(dict.fromkeys(names))
    return [order.index(name) for name in names]


def _classifier_of(pictures: Pictures, groups: Sequence[int], count: int) -> LinearClassifier:
    """Return a classifier of the groups of classes, fitted to `count` training pictures, at most."""
    images = pictures.training
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    chosen = order[:count].tolist()
    parts = [chosen[start : start + AT_ONCE] for start in range(0, len(chosen), AT_ONCE)]
    features = [
        features_of(pictures.feature, (torch.stack([images[i] for i in part]) + 1) / 2) for part in parts
    ]
    return LinearClassifier(torch.cat(features), [groups[images.dataset[i].label] for i in chosen])


def _share(hits: torch.Tensor) -> float:
    return hits.float().mean().item()
