"""The cache `strided`.

Legend: B batch, n tokens of one scale, T of all that are attended to, H heads, D head dim.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vartk_registry.caches import AllScales, AllTokens
from vartk_registry.interfaces import CachePlan


@dataclass(frozen=True)
class Strided(AllScales):
    """Keeps every `stride`-th token of finished scales, and all tokens of the current scale."""

    stride: int

    @property
    def lossless(self) -> bool:
        """Whether all are kept."""
        return self.stride == 1

    def start(self, plan: CachePlan) -> StridedState:
        """Return the state for a new generation."""
        return StridedState(plan.layers, self.stride)


class StridedState(AllTokens):
    """The keys and values that are kept, [2, B, tokens, H, D], for each layer."""

    def __init__(self, layers: int, stride: int) -> None:
        self._stride = stride
        self._held: list[torch.Tensor | None] = [None] * layers

    def append(
        self, layer: int, step: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the kept keys and values and the scale's own; then keep a share of these, too."""
        own = torch.stack((k, v))
        held = self._held[layer]
        seen = own if held is None else torch.cat((held, own), dim=2)
        kept = own[:, :, :: self._stride]
        # a copy: a view would keep the whole scale in memory
        self._held[layer] = kept.clone() if held is None else torch.cat((held, kept), dim=2)
        return seen[0], seen[1]

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples."""
        self._held = [None if held is None else held[:, :batch].clone() for held in self._held]

    def nbytes(self) -> int:
        """Return the bytes of what is kept."""
        return sum(held.nbytes for held in self._held if held is not None)
