"""Metrics of whole sets of images, from vectors of each image: how good and how varied they are."""

from __future__ import annotations

from collections.abc import Iterable

from vartk_registry import ComponentSpec, hookimpl

_METRICS = (
    (
        "fd",
        "frechet:FrechetDistance",
        "Frechet distance of two sets of features (FID uses Inception features)",
    ),
    ("sfd", "frechet:SpatialFrechetDistance", "Frechet distance of spatial features (sFID with Inception)"),
    ("kid", "kernel:KernelDistance", "kernel distance of two sets of features; the set sizes cause no bias"),
    ("is", "score:InceptionScore", "Inception score: how sure and how varied a classifier's answers are"),
    (
        "precision_recall",
        "manifold:PrecisionRecall",
        "share of images inside the other set's manifold, k = 3",
    ),
    ("density_coverage", "manifold:DensityCoverage", "as precision and recall, robust to outliers, k = 5"),
)


@hookimpl
def vartk_components() -> Iterable[ComponentSpec]:
    """Offer the metrics of sets."""
    return [
        ComponentSpec(kind="metric", name=name, target=f"{__name__}.{target}", summary=summary)
        for name, target, summary in _METRICS
    ]
