"""The guidance `my-name`."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class MyComponent:
    """Classifier-free guidance whose strength grows to `scale` as a power of the step."""

    scale: float
    power: float

    def weight(self, step: int, steps: int) -> float:
        """Return the strength at `step` of `steps`."""
        return self.scale * ((step + 1) / steps) ** self.power

    def mix(self, conditional: torch.Tensor, null: torch.Tensor, weight: float) -> torch.Tensor:
        """Return (1 + weight) conditional - weight null."""
        return conditional + weight * (conditional - null)
