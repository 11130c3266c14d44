from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """How much is kept."""

    scales: int = param(3, "number of the newest scales that are kept", low=1)
