"""A model of prompts beside the model of classes: what classifiers and a search of captions see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vartk.engine.data import Images
from vartk.engine.model import Model
from vartk.evaluation.classifier import LinearClassifier, features_of
from vartk.tables import Table
from vartk_registry.interfaces import Example, Feature

STYLES = 5
"""The classes of emoji64 are groups times this many styles."""

PLACES = (1, 10)
"""How far down the list of captions the right one is looked for."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Pictures that no caption of the training was about.

    Attributes:
        title: which.
        true: [N, 3, H, W] in [0, 1].
        labels: their classes.
        captions: such as "a red apple, flat style".
    """

    title: str
    true: torch.Tensor
    labels: list[int]
    captions: list[str]

    @classmethod
    def of(cls, title: str, images: Images, count: int) -> Prompts:
        """Return up to `count` pictures, drawn at random."""
        rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count].tolist()
        examples = [images.dataset[row] for row in rows]
        true = torch.stack([images[row] for row in rows])
        labels = [example.label for example in examples]
        return cls(title, (true + 1) / 2, labels, [short(example) for example in examples])


class Sight:
    """What is seen in pictures: their group, their style, and which caption is theirs.

    The search for captions is a linear map from the feature to the text encoder's mean vectors, fitted by
    ridge regression to the training pictures and their captions.

    Args:
        images: of the training split.
        count: of them that the classifiers and the map are fitted to.
    """

    def __init__(self, images: Images, feature: Feature, conditioner: Any, count: int) -> None:
        self._feature, self._conditioner = feature, conditioner
        rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count].tolist()
        seen, labels, captions = [], [], []
        for start in range(0, len(rows), 64):
            part = rows[start : start + 64]
            seen.append(self.features((torch.stack([images[row] for row in part]) + 1) / 2))
            examples = [images.dataset[row] for row in part]
            labels += [example.label for example in examples]
            captions += [short(example) for example in examples]
        features = torch.cat(seen)
        self._group = LinearClassifier(features, [label // STYLES for label in labels])
        self._style = LinearClassifier(features, [label % STYLES for label in labels])
        self._mean, self._scale = features.mean(0), features.std(0) + 1e-6
        texts = self._texts(captions)
        self._text_mean = texts.mean(0)
        x, y = self._normal(features).double(), (texts - self._text_mean).double()
        gram = x.T @ x
        gram.diagonal().add_(gram.diagonal().mean())
        self._map = torch.linalg.solve(gram, x.T @ y).float()

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features [N, D] of images [N, 3, H, W] in [0, 1]."""
        return features_of(self._feature, images)

    def row(self, images: torch.Tensor, prompts: Prompts) -> list[str]:
        """Return how often images have the group and style of their prompts, and find them among all."""
        features = self.features(images)
        labels = torch.tensor(prompts.labels)
        group = self._group(features) == labels // STYLES
        style = self._style(features) == labels % STYLES
        places = self.places(features, prompts.captions)
        shares = [group, style, group & style, *(places < place for place in PLACES)]
        return [f"{hits.float().mean():.1%}" for hits in shares]

    def places(self, features: torch.Tensor, captions: Sequence[str]) -> torch.Tensor:
        """Return the place [N] of each image's caption, 0 the first, among as many as `CHOICES` at most."""
        texts = torch.nn.functional.normalize(self._texts(captions) - self._text_mean, dim=1)
        found = torch.nn.functional.normalize(self._normal(features) @ self._map, dim=1)
        likeness = found @ texts.T
        places = []
        for index in range(len(captions)):
            row = likeness[index, _choices(index, len(captions))]
            places.append(int((row > row[0]).sum()))
        return torch.tensor(places)

    def style_of(self, images: torch.Tensor) -> torch.Tensor:
        """Return the style [N] that images are seen in."""
        return self._style(self.features(images))

    def _texts(self, captions: Sequence[str]) -> torch.Tensor:
        found = []
        for start in range(0, len(captions), 64):
            found += self._conditioner.encode(captions[start : start + 64], torch.device("cpu"))
        return torch.stack([features.mean(0) for features in found])

    def _normal(self, features: torch.Tensor) -> torch.Tensor:
        return (features - self._mean) / self._scale


CHOICES = 100
"""Captions that the right one is looked for among."""


def table(
    sight: Sight, prompts: Prompts, text: Model, classes: Model
) -> tuple[Table, dict[str, torch.Tensor]]:
    """Return what is seen in the true pictures, in those of both models, and the images."""
    count = len(prompts.captions)
    made = {
        "true pictures": prompts.true,
        "prompts": text.sample(prompts.captions, seed=0).images.cpu(),
        "classes": classes.sample(prompts.labels, seed=0).images.cpu(),
    }
    rows = [(name, *sight.row(images, prompts)) for name, images in made.items()]
    headings = ("images", "right group", "right style", "both", *(f"caption in first {n}" for n in PLACES))
    return Table(headings, rows, f"{prompts.title}: {count} pictures, {min(count, CHOICES)} captions"), made


def short(example: Example) -> str:
    """Return a caption such as "a red apple, flat style"."""
    return example.others[0]


def _choices(index: int, count: int) -> list[int]:
    """Return a row and others, drawn by its number."""
    others = torch.randperm(count, generator=torch.Generator().manual_seed(index)).tolist()
    others.remove(index)
    return [index, *others[: CHOICES - 1]]
