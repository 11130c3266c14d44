"""The parameters: types, defaults, ranges and help."""

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class KdtreeQuantizerConfig:
    """The codebook."""

    classes: int = param(4096, "entries of the codebook", low=2)
    commitment: float = param(0.25, "weight of the term that pulls features to their entries", low=0)
