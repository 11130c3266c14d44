from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """How fast the scales grow."""

    ratio: float = param(2.0, "sides of a scale, as a multiple of those of the next coarser one", above=1)
