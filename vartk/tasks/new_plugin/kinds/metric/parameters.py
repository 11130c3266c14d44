from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """What is compared."""

    border: int = param(0, "pixels that are left out along each edge", low=0)
