"""Parameters of the samplers."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class Categorical:
    """Parameters of `categorical` and `gumbel_smooth`."""

    top_k: int = param(0, "draw from the k most likely classes; 0 is off", low=0)
    top_p: float = param(
        0.0, "draw from the most likely classes of this total probability; 0 is off", low=0, high=1
    )
    temperature: float = param(
        1.0, "divides the logits before filtering; below 1 is bolder, above 1 more varied", above=0
    )
    final_temperature: float | None = param(
        None, "the last scale's temperature, reached by equal factors; not given, the first's", above=0
    )
