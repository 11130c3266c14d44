"""Parameters of the guidances."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class Linear:
    """Parameters of `linear`."""

    scale: float = param(1.5, "guidance strength at the last scale; 0 turns guidance off", low=0)
    stop: float = param(
        1.0, "last guided point, as a fraction of the steps; there is no null branch after it", low=0, high=1
    )


@dataclass(kw_only=True, slots=True)
class Constant:
    """Parameters of `constant`."""

    scale: float = param(1.5, "guidance strength; 0 turns guidance off", low=0)
    stop: float = param(
        1.0, "last guided point, as a fraction of the steps; there is no null branch after it", low=0, high=1
    )


@dataclass(kw_only=True, slots=True)
class Interval:
    """Parameters of `interval`."""

    scale: float = param(1.5, "guidance strength inside the interval; 0 turns guidance off", low=0)
    start: float = param(0.0, "first guided point, as a fraction of the steps", low=0, high=1)
    stop: float = param(1.0, "last guided point, as a fraction of the steps", low=0, high=1)
