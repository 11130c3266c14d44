"""Parameters of the discriminators."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class PatchConfig:
    """Parameters of `patch`; the defaults judge patches of 70 x 70 pixels."""

    width: int = param(64, "channels of the first convolution; they double up to eight times that", low=1)
    layers: int = param(3, "convolutions that halve the image", low=1)


@dataclass(kw_only=True, slots=True)
class DinoConfig:
    """Parameters of `dino`."""

    blocks: list[int] = param(
        [2, 5, 8, 11], "blocks of the transformer, from 0 to 11, whose outputs are judged, a head each"
    )
    kernel: int = param(9, "tokens that a head's second convolution spans; odd", low=1)
