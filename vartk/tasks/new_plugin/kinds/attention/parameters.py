from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """How much is computed at once."""

    rows: int = param(256, "queries that are computed at once", low=1)
