"""Sets of images as a feature sees them, and distances between such sets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from vartk_registry import Registry, VartkError
from vartk_registry.interfaces import Feature, Metric, VectorFeature

from ..images import to_uint8

FEATURES = "features"
"""The kind of vectors that every feature gives."""

PIXELS = 32
"""The longest side, in pixels, of what images are averaged to before their pixels are compared."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of N images on the CPU: vectors [N, D] in float32 by kind.

    The kinds are "features", those that metrics need beside them, and "pixels" in [0, 1].
    """

    vectors: Mapping[str, torch.Tensor]

    @classmethod
    @torch.no_grad()
    def of(cls, feature: Feature, images: torch.Tensor, kinds: Collection[str] = (FEATURES,)) -> Seen:
        """See images [N, 3, H, W] in [0, 1], rounded to 8 bits as files hold them."""
        images = to_uint8(images) / 255
        factor = min(1.0, PIXELS / max(images.shape[-2:]))
        h, w = (max(1, round(side * factor)) for side in images.shape[-2:])
        pixels = F.adaptive_avg_pool2d(images, (h, w)).flatten(1)
        if set(kinds) == {FEATURES}:
            found = {FEATURES: feature.pooled(images)}
        else:
            assert isinstance(feature, VectorFeature)  # `vector_kinds` has checked it
            several = feature.vectors(images)
            found = {kind: several[kind] for kind in kinds}
        return cls({kind: v.float().cpu() for kind, v in {**found, "pixels": pixels}.items()})

    @classmethod
    def joined(cls, parts: Iterable[Seen]) -> Seen:
        """Join batches."""
        parts = list(parts)
        return cls({kind: torch.cat([part.vectors[kind] for part in parts]) for kind in parts[0].vectors})

    def __len__(self) -> int:
        return len(self.vectors[FEATURES])

    def __getitem__(self, rows: slice) -> Seen:
        return Seen({kind: vectors[rows] for kind, vectors in self.vectors.items()})


def vector_kinds(registry: Registry, metrics: Sequence[str], feature: Feature) -> tuple[str, ...]:
    """Return the kinds of vectors that an evaluation keeps: "features", and what metrics need beside them.

    Raises:
        VartkError: a metric is unknown, compares images in pairs, or needs vectors that the feature has not.
    """
    kinds = {FEATURES: None}
    given = feature.kinds if isinstance(feature, VectorFeature) else (FEATURES,)
    for name in metrics:
        metric: Metric = registry.build("metric", name, {})
        if metric.takes == "images":
            raise VartkError(
                f"metric {name!r} compares images in pairs; metrics=[...] takes metrics of sets of images, "
                "such as fd and kid (`vartk list metric`)"
            )
        if metric.takes not in given:
            raise VartkError(
                f"metric {name!r} needs {metric.takes}, which the feature {feature.label} does not give; "
                "take feature=elite0, or leave the metric out"
            )
        kinds[metric.takes] = None
    return tuple(kinds)


def set_distances(
    registry: Registry, metrics: Sequence[str], found: Seen, reference: Seen
) -> dict[str, float]:
    """Return the sizes `n` and `m` of two sets, and the metrics' numbers for their vectors."""
    numbers: dict[str, float] = {"n": len(found), "m": len(reference)}
    for name in metrics:
        metric: Metric = registry.build("metric", name, {})
        metric.update(found.vectors[metric.takes], reference.vectors[metric.takes])
        numbers |= metric.compute()
    return numbers
