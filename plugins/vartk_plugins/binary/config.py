"""Parameters of the binary quantizers."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class BSQConfig:
    """Parameters of `bsq`."""

    commitment: float = param(
        0.25, "weight of the commitment term, which pulls features to their codes", low=0
    )
    entropy: float = param(
        0.1, "weight of the entropy penalty: entropy of each vector's code minus entropy of all codes", low=0
    )
    diversity: float = param(
        1.0, "weight of the entropy of all codes within the penalty; it prevents collapse", low=0
    )
    temperature: float = param(
        0.01, "softness of the choice of a code in the penalty, as a squared distance", above=0
    )


@dataclass(kw_only=True, slots=True)
class LFQConfig(BSQConfig):
    """Parameters of `lfq`."""

    group: int = param(
        8,
        "bits per group in the entropy of all codes: a joint distribution of 2^group probabilities per "
        "vector; the entropies of the groups are added as if independent",
        low=1,
        high=16,
    )
