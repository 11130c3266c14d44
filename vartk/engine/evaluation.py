"""What images are compared by in an evaluation: sets of features, and nearest neighbours."""

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

NEAR = 0.01
"""The share of held-out images that a threshold of nearness takes for near copies."""

_ROWS = 1024
"""Rows of a matrix of distances in memory at once."""


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


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest of M images to each of N: `distances` [N], Euclidean, and `indices` [N] in [0, M)."""

    distances: torch.Tensor
    indices: torch.Tensor

    @classmethod
    def of(cls, found: torch.Tensor, among: torch.Tensor) -> Neighbours:
        """Find the nearest of the vectors `among` [M, D] to each of `found` [N, D]."""
        indices = torch.cat([torch.cdist(rows, among).argmin(dim=1) for rows in found.split(_ROWS)])
        parts = zip(found.split(_ROWS), indices.split(_ROWS), strict=True)
        # cdist rounds, so that equal vectors may be apart there
        return cls(torch.cat([(rows - among[nearest]).norm(dim=1) for rows, nearest in parts]), indices)


def near_copies(samples: Neighbours, held_out: Neighbours) -> dict[str, float]:
    """Return the share of samples that are near copies of a training image, and what it rests on.

    A near copy is nearer to its nearest training image than 99 of 100 held-out images, real and never
    trained on, are to theirs (`NEAR`). Samples as new as the n held-out images have the share `share_if_new`
    in the mean: of n + 1 alike, each is as likely to be the nearest, the next, ..., and the quantile lies
    NEAR (n - 1) places past the nearest. Where some held-out images are near copies themselves, the
    threshold is low and the share says too little.
    """
    n, threshold = len(held_out.distances), held_out.distances.quantile(NEAR).item()
    return {
        "near_copies": (samples.distances < threshold).float().mean().item(),
        "share_if_new": (NEAR * (n - 1) + 1) / (n + 1),
        "threshold": threshold,
        "median_of_samples": samples.distances.median().item(),
        "median_of_validation": held_out.distances.median().item(),
    }


def in_proportion(values: Sequence[int | str], count: int) -> list[int | str]:
    """Return `count` of the values, each as often as its share of them, sorted."""
    ordered = sorted(values)  # type: ignore[type-var]
    return [ordered[(2 * i + 1) * len(ordered) // (2 * count)] for i in range(count)]
