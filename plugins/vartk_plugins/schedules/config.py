"""Parameters of the schedules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class Growing:
    """Parameters of `geometric` and `linear`."""

    steps: int | None = param(
        None, "number of scales; if not given, 10, or the latent's longest side if that is less", low=1
    )


@dataclass(kw_only=True, slots=True)
class InRasterOrder:
    """Parameters of `raster`."""

    grids: list[Any] = param(
        [],
        "the scales, as for `custom`, whose tokens follow one another; if not given, the latent grid alone",
    )


@dataclass(kw_only=True, slots=True)
class Custom:
    """Parameters of `custom`."""

    grids: list[Any] = param([], "the scales, coarse to fine: sides of squares or [height, width], in cells")
    reference: list[int] | None = param(
        None,
        "[height, width] of the grid on which 2-D RoPE measures positions; if not given, the last one",
        low=1,
    )


@dataclass(kw_only=True, slots=True)
class InfinityConfig:
    """Parameters of `infinity`."""

    ratio: float | None = param(
        None, "height / width; the nearest of the 15 ratios is taken. If not given, the latent's", above=0
    )
    pixels: str | None = param(
        None,
        "number of pixels, about; if not given, the one whose last grid is nearest to the latent's",
        choices=("0.06M", "0.25M", "0.60M", "1M", None),
    )
    patch: int = param(
        1,
        "side of the squares of latent cells that the transformer packs: grids are so many times as large",
        low=1,
    )
