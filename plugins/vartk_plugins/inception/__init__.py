"""Inception v3 as published FIDs see images: the network and the weights of torch-fidelity."""

from __future__ import annotations

from collections.abc import Iterable

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> Iterable[ComponentSpec]:
    """Offer the feature `inception`."""
    return [
        ComponentSpec(
            kind="feature",
            name="inception",
            target=f"{__name__}.network:Inception",
            config=f"{__name__}.config:InceptionConfig",
            summary="Inception v3 of 2015 by torch-fidelity; gives FID; the weights are downloaded once",
            requires=("torch_fidelity",),
            install_hint="type `pip install torch-fidelity`, or install vartk[fidelity]",
        )
    ]
