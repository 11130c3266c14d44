"""Sets of images as a feature sees them, and distances between such sets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch.nn import functional as F

from vartk_registry import Registry, VartkError
from vartk_registry.interfaces import Feature, Metric, MomentsMetric, VectorFeature

from ..images import to_uint8

FEATURES = "features"
"""The kind of vectors that every feature gives."""

PIXELS = "pixels"
"""The kind of vectors that every image has."""

SIDE = 32
"""The longest side, in pixels, of what images are averaged to before their pixels are compared."""

Moments = tuple[torch.Tensor, torch.Tensor]
"""The mean [D] and the covariance [D, D] of vectors, in float64."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of N images on the CPU: vectors [N, D] in float32 by kind.

    The kinds are "features", those that metrics need beside them (`vector_kinds`), and where they are asked
    for "pixels" in [0, 1], averaged to a longest side of `SIDE`.
    """

    vectors: Mapping[str, torch.Tensor]

    @classmethod
    @torch.no_grad()
    def of(cls, feature: Feature, images: torch.Tensor, kinds: Collection[str] = (FEATURES,)) -> Seen:
        """See images [N, 3, H, W] in [0, 1], rounded to 8 bits as files hold them."""
        images = to_uint8(images) / 255
        found = {} if set(kinds) <= {FEATURES, PIXELS} else feature.vectors(images)  # type: ignore[attr-defined]
        found = found or {FEATURES: feature.pooled(images)}
        if PIXELS in kinds:
            found[PIXELS] = _small(images)
        return cls({kind: found[kind].float().cpu() for kind in kinds})

    @classmethod
    def joined(cls, parts: Iterable[Seen]) -> Seen:
        """Join batches."""
        parts = list(parts)
        return cls({kind: torch.cat([part.vectors[kind] for part in parts]) for kind in parts[0].vectors})

    def __len__(self) -> int:
        return len(self.vectors[FEATURES])

    def __getitem__(self, rows: slice) -> Seen:
        return Seen({kind: vectors[rows] for kind, vectors in self.vectors.items()})


def moments_of(vectors: torch.Tensor) -> Moments:
    """Return the mean and the unbiased covariance of vectors [N, D]."""
    vectors = vectors.double()
    return vectors.mean(0), vectors.T.cov()


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
    registry: Registry,
    metrics: Sequence[str],
    found: Seen,
    reference: Seen | None,
    moments: Mapping[str, Moments] = MappingProxyType({}),
) -> dict[str, float]:
    """Return the sizes `n` and `m` of two sets, and the metrics' numbers for their vectors.

    Args:
        reference: None if there are only moments.
        moments: of the reference, by the kind of vectors; metrics that need no more take these.
    """
    numbers: dict[str, float] = {"n": len(found), "m": 0 if reference is None else len(reference)}
    for name in metrics:
        metric: Metric = registry.build("metric", name, {})
        vectors = found.vectors[metric.takes]
        known = isinstance(metric, MomentsMetric) and metric.takes in moments
        others = None if known or reference is None else reference.vectors.get(metric.takes)
        metric.update(vectors, vectors[:0] if others is None else others)
        if known:
            metric.use_reference(*moments[metric.takes])
        numbers |= metric.compute()
    return numbers


def _small(images: torch.Tensor) -> torch.Tensor:
    """Return the pixels [N, P] of images that are averaged to a longest side of `SIDE`."""
    factor = min(1.0, SIDE / max(images.shape[-2:]))
    h, w = (max(1, round(side * factor)) for side in images.shape[-2:])
    return F.adaptive_avg_pool2d(images, (h, w)).flatten(1)
