from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """The size of the network."""

    depth: int = param(4, "number of blocks", low=1)
    width: int = param(128, "channels of a token; a multiple of `heads`", low=1)
    heads: int = param(4, "attention heads", low=1)
