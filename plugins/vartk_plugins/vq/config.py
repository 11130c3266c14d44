"""Parameters of the codebook quantizers."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class VQConfig:
    """Parameters of `vq` and `vq-cosine`."""

    classes: int = param(4096, "entries of the codebook", low=2)
    commitment: float = param(
        0.25, "weight of the commitment term, which pulls features to their codes", low=0
    )
