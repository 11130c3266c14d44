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
        0.1, "weight of the entropy penalty: the entropy of a vector's code less that of all codes", low=0
    )
    diversity: float = param(
        1.0, "weight within the penalty of the entropy of all codes, against collapse", low=0
    )
    temperature: float = param(
        0.01, "squared distance over which the choice of a code is soft in the penalty", above=0
    )


@dataclass(kw_only=True, slots=True)
class LFQConfig(BSQConfig):
    """Parameters of `lfq`."""

    group: int = param(
        8,
        "bits whose joint distribution the entropy of all codes is of, 2^group probabilities a vector; "
        "groups are added as if independent",
        low=1,
        high=16,
    )
