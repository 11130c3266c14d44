from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """Which codes are drawn."""

    temperature: float = param(1.0, "what the logits are divided by", above=0)
    min_p: float = param(
        0.05, "smallest probability, as a share of that of the most probable code", low=0, high=1
    )
