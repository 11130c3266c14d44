"""The check of features."""

from __future__ import annotations

import torch

from ..interfaces import Feature, VectorFeature
from .rules import require, require_close, require_module, require_shape


def check_feature(feature: Feature) -> None:
    """Check a feature on random images of three sizes."""
    network = require_module(feature)
    require(
        not any(module.training for module in network.modules()),
        "a feature must be built in evaluation mode",
    )
    require(
        not any(parameter.requires_grad for parameter in network.parameters()),
        "a feature must be frozen: its parameters take no gradient",
    )
    require(isinstance(feature.label, str) and bool(feature.label), "label must be a name, such as ELite0")
    if isinstance(feature, VectorFeature):
        known = {"features", "logits", "spatial"}
        require(
            "features" in feature.kinds and known.issuperset(feature.kinds),
            f"kinds={feature.kinds!r} must have features, and may have logits and spatial",
        )
    widths = {_check_at(feature, *size) for size in ((16, 16), (80, 64), (160, 160))}
    require(len(widths) == 1, f"vectors must have one width for images of any size, not {widths}")


def _check_at(feature: Feature, h: int, w: int) -> tuple[int, ...]:
    """Check one size of images, and return the widths of the vectors."""
    images, reference = torch.rand(2, 3, 3, h, w, generator=torch.Generator().manual_seed(0))
    reference[0] = images[0]
    images.requires_grad_()
    distances = feature.distance(images, reference)
    require_shape("distance", distances, (3,))
    equal, *others = distances.tolist()
    require(abs(equal) <= 1e-5, f"the distance of equal images must be 0, not {equal}")
    require(min(others) > 0, f"the distance of different images must be above 0, not {min(others)}")
    (gradient,) = torch.autograd.grad(distances[1:].sum(), images)
    require_shape("the gradient of distance in its images", gradient, images.shape)
    require(bool(gradient[1:].any()), "gradients of distance must flow to its images")
    with torch.no_grad():
        pooled = feature.pooled(images)
        require_shape("pooled", pooled, (3, pooled.shape[-1]))
        alone = feature.pooled(images[1:2])
        several = feature.vectors(images) if isinstance(feature, VectorFeature) else {"features": pooled}
    require_close("a pooled vector must not depend on the batch", alone, pooled[1:2], 1e-3)
    if isinstance(feature, VectorFeature):
        require(set(several) == set(feature.kinds), f"vectors must give all kinds, not {list(several)}")
        require_close("vectors must give pooled ones as features", several["features"], pooled, 1e-5)
        for kind, found in several.items():
            require_shape(kind, found, (3, found.shape[-1]))
    return tuple(found.shape[-1] for found in several.values())
