"""Quantisation to signs: a code is the bits of its channels; there is no codebook to learn."""

from vartk_registry import ComponentSpec, hookimpl

_HERE = "vartk_plugins.binary"


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the quantizers `lfq` and `bsq`."""
    return [
        ComponentSpec(
            kind="quantizer",
            name="lfq",
            target=f"{_HERE}.quantizer:LookupFreeQuantizer",
            config=f"{_HERE}.config:LFQConfig",
            summary="the sign of each channel, with an entropy penalty; a code is an array of bits",
        ),
        ComponentSpec(
            kind="quantizer",
            name="bsq",
            target=f"{_HERE}.quantizer:BinarySphericalQuantizer",
            config=f"{_HERE}.config:BSQConfig",
            summary="the nearest corner of a cube in the unit sphere; a code is an array of bits",
        ),
    ]
