"""Sets of images as a feature sees them, and distances between such sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from vartk_registry import Registry, VartkError
from vartk_registry.interfaces import Feature, Metric

from ..images import to_uint8

PIXELS = 32
"""The longest side, in pixels, of what images are averaged to before their pixels are compared."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of N images: `features` [N, D] in float32, and `pixels` [N, P] in [0, 1], on the CPU."""

    features: torch.Tensor
    pixels: torch.Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, feature: Feature, images: torch.Tensor) -> Seen:
        """See images [N, 3, H, W] in [0, 1], rounded to 8 bits as files hold them."""
        images = to_uint8(images) / 255
        factor = min(1.0, PIXELS / max(images.shape[-2:]))
        h, w = (max(1, round(side * factor)) for side in images.shape[-2:])
        pixels = F.adaptive_avg_pool2d(images, (h, w)).flatten(1)
        return cls(feature.pooled(images).float().cpu(), pixels.cpu())

    @classmethod
    def joined(cls, parts: Iterable[Seen]) -> Seen:
        """Join batches."""
        parts = list(parts)
        return cls(torch.cat([p.features for p in parts]), torch.cat([p.pixels for p in parts]))

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice) -> Seen:
        return Seen(self.features[rows], self.pixels[rows])


def set_metric(registry: Registry, name: str) -> Metric:
    """Build a metric of sets of features; `VartkError` for any other one."""
    metric: Metric = registry.build("metric", name, {})
    if metric.takes != "features":
        raise VartkError(
            f"metric {name!r} compares images in pairs; metrics=[...] takes metrics of sets of features, "
            "such as fd and kid (`vartk list metric`)"
        )
    return metric


def set_distances(
    registry: Registry, metrics: Sequence[str], found: Seen, reference: Seen
) -> dict[str, float]:
    """Return the sizes `n` and `m` of two sets, and the metrics' numbers for their features."""
    numbers: dict[str, float] = {"n": len(found), "m": len(reference)}
    for name in metrics:
        metric = set_metric(registry, name)
        metric.update(found.features, reference.features)
        numbers |= metric.compute()
    return numbers
