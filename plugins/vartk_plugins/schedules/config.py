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
class Custom:
    """Parameters of `custom`."""

    grids: list[Any] = param([], "the scales, coarse to fine: sides of squares or [height, width], in cells")
