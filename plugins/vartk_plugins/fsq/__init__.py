"""Finite scalar quantisation: each channel is rounded to a few levels; there is no codebook to learn."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the quantizer `fsq`."""
    return [
        ComponentSpec(
            kind="quantizer",
            name="fsq",
            target="vartk_plugins.fsq.quantizer:FiniteScalarQuantizer",
            config="vartk_plugins.fsq.config:FSQConfig",
            summary="rounds each channel to a few levels; a code is the joint index of the levels",
        ),
    ]
