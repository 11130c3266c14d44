"""Parameters of the codebook quantizers."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param

_RESTART = (
    "replace an entry by a vector of the training batch if it is used less often than this share of the "
    "average entry; 0 turns this off"
)


@dataclass(kw_only=True, slots=True)
class SimVQConfig:
    """Parameters of `simvq`."""

    classes: int = param(4096, "number of codebook entries", low=2)
    commitment: float = param(
        0.25, "weight of the commitment term, which pulls features to their codes", low=0
    )


@dataclass(kw_only=True, slots=True)
class VQConfig(SimVQConfig):
    """Parameters of `vq` and `vq-cosine`."""

    restart_below: float = param(0.0, _RESTART, low=0, high=1)


@dataclass(kw_only=True, slots=True)
class EMAConfig(VQConfig):
    """Parameters of `vq-ema`."""

    decay: float = param(
        0.99,
        "share of the moving averages that an update keeps; every scale of a step is one update",
        low=0,
        high=1,
    )
    restart_below: float = param(0.03, _RESTART, low=0, high=1)


@dataclass(kw_only=True, slots=True)
class IBQConfig(VQConfig):
    """Parameters of `ibq`."""

    temperature: float = param(
        0.01, "softness of the choice of a code in gradients, as a squared distance", above=0
    )
    entropy: float = param(
        0.05,
        "weight of the entropy penalty: entropy of each vector's code minus entropy of a scale's codes",
        low=0,
    )


@dataclass(kw_only=True, slots=True)
class PQConfig(VQConfig):
    """Parameters of `pq`."""

    branches: int = param(4, "number of parts of a vector; each part has its own codebook", low=1)
    classes: int = param(1024, "number of entries of each codebook", low=2)
