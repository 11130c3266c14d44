"""Reconstructions by the number of scales: how much each scale adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch

from vartk_registry.interfaces import Feature, Grid, MomentsMetric

from ..engine.codes import latents
from ..engine.model import Model
from ..engine.sets import Seen, moments_of
from ..engine.training.quality import ImageQuality


class Partial:
    """The quality of images decoded from the first scales alone, for each number of scales but all.

    Its metrics of sets are those that need only moments, such as FD: the vectors of every number of scales
    would need too much memory.
    """

    def __init__(
        self, model: Model, size: Grid, feature: Feature, kinds: Sequence[str], metrics: Sequence[str]
    ) -> None:
        self._tokenizer, self._schedule = model.tokenizer, model.schedule.scales
        self._feature, self._kinds = feature, kinds
        registry, steps = model.plugins.registry, len(self._schedule) - 1
        self._quality = [ImageQuality(registry, size, feature) for _ in range(steps)]
        built = [[registry.build("metric", name, {}) for name in metrics] for _ in range(steps)]
        self._metrics: list[list[MomentsMetric]] = [
            [metric for metric in each if isinstance(metric, MomentsMetric)] for each in built
        ]

    @torch.no_grad()
    def update(self, codes: Sequence[torch.Tensor], pixels: torch.Tensor) -> None:
        """Take the codes of all scales of images [B, 3, H, W] in [-1, 1]."""
        f_hats = latents(self._tokenizer, codes[:-1], self._schedule)
        for f_hat, quality, metrics in zip(f_hats, self._quality, self._metrics, strict=True):
            images = self._tokenizer.decode(f_hat)
            quality.update(images, pixels)
            seen = Seen.of(self._feature, (images + 1) / 2, self._kinds)
            for metric in metrics:
                vectors = seen.vectors[metric.takes]
                metric.update(vectors, vectors[:0])

    def rows(self, real: Seen, whole: Mapping[str, float]) -> list[dict[str, Any]]:
        """Return a row for each number of scales: `scales`, `tokens`, and the numbers by name.

        Args:
            real: what was seen of the images.
            whole: the numbers of all scales, which make the last row.
        """
        moments = {
            metric.takes: moments_of(real.vectors[metric.takes]) for each in self._metrics for metric in each
        }
        found = []
        for quality, metrics in zip(self._quality, self._metrics, strict=True):
            numbers = quality.compute()
            for metric in metrics:
                metric.use_reference(*moments[metric.takes])
                numbers |= metric.compute()
            found.append(numbers)
        names = list(found[0]) if found else ["psnr_db"]
        found.append({name: whole[name] for name in names})
        tokens = accumulate(self._schedule.sizes)
        return [
            {"scales": scales, "tokens": count, **numbers}
            for scales, (count, numbers) in enumerate(zip(tokens, found, strict=True), 1)
        ]
