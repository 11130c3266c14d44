"""LPIPS, the learned perceptual distance, from the authors' package."""

from __future__ import annotations

from collections.abc import Iterable

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> Iterable[ComponentSpec]:
    """Offer the feature `lpips`."""
    return [
        ComponentSpec(
            kind="feature",
            name="lpips",
            target=f"{__name__}.network:Lpips",
            config=f"{__name__}.config:LpipsConfig",
            summary="LPIPS on VGG, AlexNet or SqueezeNet; the weights are downloaded once",
            requires=("lpips",),
            install_hint="type `pip install lpips`, or install vartk[lpips]",
        )
    ]
