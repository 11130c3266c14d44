"""Parameters of the discriminators."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class PatchConfig:
    """Parameters of `patch`; the defaults judge patches of 70 x 70 pixels."""

    width: int = param(
        64, "channels of the first convolution; they double per layer, up to eight times this number", low=1
    )
    layers: int = param(3, "convolutions that halve the image", low=1)


@dataclass(kw_only=True, slots=True)
class DinoConfig:
    """Parameters of `dino`."""

    blocks: list[int] = param(
        [2, 5, 8, 11], "transformer blocks, from 0 to 11, whose outputs are judged; each has its own head"
    )
    kernel: int = param(9, "kernel size of a head's second convolution, in tokens; odd", low=1)
