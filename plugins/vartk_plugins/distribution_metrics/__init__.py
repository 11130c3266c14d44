"""Metrics of whole sets of images, from their features: how far one distribution is from another."""

from __future__ import annotations

from collections.abc import Iterable

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> Iterable[ComponentSpec]:
    """Offer the metrics `fd` and `kid`."""
    return [
        ComponentSpec(
            kind="metric",
            name="fd",
            target=f"{__name__}.frechet:FrechetDistance",
            summary="Frechet distance between the features of two sets (FID uses Inception features)",
        ),
        ComponentSpec(
            kind="metric",
            name="kid",
            target=f"{__name__}.kernel:KernelDistance",
            summary="kernel distance between the features of two sets; the set sizes cause no bias",
        ),
    ]
