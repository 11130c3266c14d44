from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """How strong the guidance is."""

    scale: float = param(4.0, "strength at the last step; 0 turns guidance off", low=0)
    power: float = param(1.0, "how late the strength grows: 0 is constant, 1 linear", low=0)
