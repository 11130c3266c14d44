"""Parameters of the samplers."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class Categorical:
    """Parameters of `categorical` and `gumbel_smooth`."""

    top_k: int = param(0, "draw from the k most likely codes; 0 turns this off", low=0)
    top_p: float = param(
        0.0, "draw from the most likely codes with this total probability; 0 turns this off", low=0, high=1
    )
    temperature: float = param(
        1.0, "divides the logits before filtering; below 1 is bolder, above 1 is more varied", above=0
    )
    temperatures: list[float] = param(
        [],
        "in the place of `temperature`, one for each scale, coarse to fine; the last one holds for all that "
        "follow",
        above=0,
    )
    final_temperature: float | None = param(
        None, "temperature of the last scale, reached by equal factors; if not given, `temperature`", above=0
    )
