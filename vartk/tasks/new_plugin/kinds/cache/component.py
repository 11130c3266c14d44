"""The cache strategy `my-name`.

Legend: B batch, n tokens of a scale, T of all that are attended to, H heads, D head dim.
"""

from dataclasses import dataclass

import torch

from vartk_registry.caches import AllScales, AllTokens
from vartk_registry.interfaces import CachePlan


@dataclass(frozen=True)
class MyComponent(AllScales):
    """Keeps the keys and values of the newest scales."""

    scales: int
    lossless = False

    def start(self, plan: CachePlan) -> "State":
        """Return the state for a new generation."""
        return State(plan.layers, self.scales)


class State(AllTokens):
    """For each layer the kept scales, oldest first: keys and values [2, B, n, H, D]."""

    def __init__(self, layers: int, scales: int) -> None:
        self._scales = scales
        self._held: list[list[torch.Tensor]] = [[] for _ in range(layers)]

    def append(
        self, layer: int, step: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the kept keys and values with the scale's own, [B, T, H, D] each."""
        seen = [*self._held[layer], torch.stack((k, v))]
        self._held[layer] = seen[-self._scales :]
        keys, values = torch.cat(seen, dim=2)
        return keys, values

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples; copies, for views would hold the memory of all."""
        self._held = [[kv[:, :batch].clone() for kv in scales] for scales in self._held]

    def nbytes(self) -> int:
        """Return the bytes of what is kept."""
        return sum(kv.nbytes for scales in self._held for kv in scales)
