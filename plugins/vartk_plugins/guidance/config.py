"""Parameters of the guidances."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class Layered:
    """What all guidances have."""

    layer: int = param(
        0,
        "0 mixes logits; n mixes the hidden states after the n-th block from the end, in their place",
        low=0,
    )


@dataclass(kw_only=True, slots=True)
class Linear(Layered):
    """Parameters of `linear`."""

    scale: float = param(1.5, "guidance strength at the last scale; 0 turns guidance off", low=0)
    stop: float = param(
        1.0, "last guided point, as a fraction of the steps; there is no null branch after it", low=0, high=1
    )


@dataclass(kw_only=True, slots=True)
class Constant(Layered):
    """Parameters of `constant`."""

    scale: float = param(1.5, "guidance strength; 0 turns guidance off", low=0)
    stop: float = param(
        1.0, "last guided point, as a fraction of the steps; there is no null branch after it", low=0, high=1
    )


@dataclass(kw_only=True, slots=True)
class Interval(Layered):
    """Parameters of `interval`."""

    scale: float = param(1.5, "guidance strength inside the interval; 0 turns guidance off", low=0)
    start: float = param(0.0, "first guided point, as a fraction of the steps", low=0, high=1)
    stop: float = param(1.0, "last guided point, as a fraction of the steps", low=0, high=1)


@dataclass(kw_only=True, slots=True)
class PerScale(Layered):
    """Parameters of `per_scale`."""

    scales: list[float] = param(
        [3.0], "guidance strength at each scale, coarse to fine; the last one holds for all that follow"
    )
