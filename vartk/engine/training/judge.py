"""Metrics of samples while a transformer is trained, and the best model so far."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vartk_registry import Registry, VartkError, counted

from ...config import TransformerTraining
from ...files import whole_file
from ..classes import require_classes
from ..data import Images
from ..model import Model
from ..sets import Seen, set_distances, vector_kinds

SMALLEST = 4
"""Validation images that samples are compared with, at least."""

BEST = "best.json"


class Judge:
    """Compares samples with as many validation images, by metrics of sets and a feature.

    The samples have the conditions of these images, and the same seeds in every validation.

    Args:
        model: whose classes the images have.

    Raises:
        VartkError: there are too few images, they have other classes, or a metric or the feature is unknown.
    """

    def __init__(self, config: TransformerTraining, model: Model, images: Images, registry: Registry) -> None:
        self._registry, self._images = registry, images
        self._metrics, slot = config.eval_metrics, config.eval_feature
        if len(images) < SMALLEST:
            raise VartkError(
                f"train.transformer.eval_metrics compares samples with validation images, and there are "
                f"{counted(len(images), 'image')}; hold out at least {SMALLEST}"
            )
        require_classes(model, images.dataset)
        self._feature = registry.build("feature", slot.name, slot.params)
        self._kinds = vector_kinds(registry, self._metrics, self._feature)
        count = min(config.eval_samples, len(images))
        self._rows = random.Random(config.seed).sample(range(len(images)), count)
        self.higher = getattr(registry.build("metric", self._metrics[0], {}), "better", "lower") == "higher"
        """Whether the first metric is better where it is higher."""
        self._takes = model.takes
        self._real: Seen | None = None
        self._conditions: list[Any] = []

    @torch.no_grad()
    def measure(self, model: Model) -> dict[str, float]:
        """Return the numbers of a model's samples by name."""
        with torch.autocast(model.device.type, enabled=False):
            self._feature.to(model.device)
            if self._real is None:
                examples = [self._images.dataset[row] for row in self._rows]
                self._conditions = [getattr(example, self._takes) for example in examples]
                views = zip(examples, self._rows, strict=True)
                pixels = torch.stack([self._images.prepared(example, (0, row)) for example, row in views])
                self._real = self._seen(model, (pixels + 1) / 2)
            samples = self._seen(model, model.sample(self._conditions, seed=0).images)
            numbers = set_distances(self._registry, self._metrics, samples, self._real)
        return {name: value for name, value in numbers.items() if name not in ("n", "m")}

    def _seen(self, model: Model, images: torch.Tensor) -> Seen:
        """Return what the feature sees of images [N, 3, H, W] in [0, 1]."""
        parts = images.split(model.config.sampling.batch)
        return Seen.joined(Seen.of(self._feature, part.to(model.device), self._kinds) for part in parts)


class Best:
    """The best value of a run's first metric so far, which `best.json` keeps for a run that goes on.

    Args:
        folder: the run's.
        higher: whether a higher value is better.
    """

    def __init__(self, folder: Path, *, higher: bool) -> None:
        self._path, self._higher = folder / BEST, higher
        self._value = json.loads(self._path.read_text())["value"] if self._path.is_file() else None

    def improved_by(self, value: float) -> bool:
        """Return whether a value is better than all before."""
        if self._value is None or not math.isfinite(value):
            return math.isfinite(value)
        return value > self._value if self._higher else value < self._value

    def keep(self, step: int, values: Mapping[str, float]) -> None:
        """Take the numbers of a step, the first of which is the best so far."""
        name, self._value = next(iter(values.items()))
        with whole_file(self._path) as aside:
            aside.write_text(json.dumps({"step": step, "metric": name, "value": self._value, **values}))
