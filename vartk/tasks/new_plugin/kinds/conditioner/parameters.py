from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """How the vectors begin."""

    std: float = param(0.02, "standard deviation of the initial vectors", above=0)
