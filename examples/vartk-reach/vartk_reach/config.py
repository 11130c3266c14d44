"""The parameters: types, defaults, ranges and help."""

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class ReachCacheConfig:
    """How far each layer looks back."""

    layers: list[int] = param(
        [], "earlier scales that each layer keeps, as `vartk calibrate` measures them; empty keeps all", low=0
    )
    mass: float = param(0.95, "share of the attention that `vartk calibrate` covers", above=0, high=1)
