"""Parameters of the codebook quantizers."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param

_RESTART = (
    "an entry that is hit less often than this share of the average entry is replaced by a vector of the "
    "training batch; 0 is off"
)


@dataclass(kw_only=True, slots=True)
class VQConfig:
    """Parameters of `vq` and `vq-cosine`."""

    classes: int = param(4096, "entries of the codebook", low=2)
    commitment: float = param(
        0.25, "weight of the commitment term, which pulls features to their codes", low=0
    )
    restart_below: float = param(0.0, _RESTART, low=0, high=1)


@dataclass(kw_only=True, slots=True)
class EMAConfig(VQConfig):
    """Parameters of `vq-ema`."""

    decay: float = param(
        0.99, "share of the averages that an update keeps; every scale of a step is an update", low=0, high=1
    )
    restart_below: float = param(0.03, _RESTART, low=0, high=1)


@dataclass(kw_only=True, slots=True)
class PQConfig(VQConfig):
    """Parameters of `pq`."""

    branches: int = param(4, "parts of a vector, each with a codebook of its own", low=1)
    classes: int = param(1024, "entries of each codebook", low=2)
