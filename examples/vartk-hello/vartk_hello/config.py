"""The parameters of `typical` and `strided`."""

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class TypicalConfig:
    """How many codes a draw may choose from."""

    mass: float = param(0.9, "total probability of the codes that are kept; 1 keeps all", above=0, high=1)


@dataclass(kw_only=True, slots=True)
class StridedConfig:
    """How much of a scale is kept."""

    stride: int = param(2, "keep every n-th token, in the order of rows; 1 keeps all", low=1)
