"""Every key and value of every scale, in memory that is allocated once.

Legend: B batch, n tokens of one scale, T tokens so far, L of all scales, H heads, D head dim.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vartk_registry.caches import AllScales, AllTokens
from vartk_registry.interfaces import CachePlan


@dataclass(frozen=True)
class FullCache(AllScales):
    """Keeps all keys and values, and has all tokens computed."""

    lossless = True

    def start(self, plan: CachePlan) -> FullState:
        """Return the state for a new generation, with memory for the plan's whole schedule."""
        return FullState(plan)


class FullState(AllTokens):
    """Keys and values of each layer, [2, B, L, H, D], filled from the front."""

    def __init__(self, plan: CachePlan) -> None:
        shape = (2, plan.batch, plan.schedule.total, plan.heads, plan.head_dim)
        self._kv = [torch.empty(shape, dtype=plan.dtype, device=plan.device) for _ in range(plan.layers)]
        self._filled = [0] * plan.layers

    def append(self, layer: int, step: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Copy a scale's k and v [B, n, H, D] in; return views of all so far, [B, T, H, D] each."""
        start = self._filled[layer]
        stop = start + k.shape[1]
        kept = self._kv[layer]
        kept[0, :, start:stop] = k
        kept[1, :, start:stop] = v
        self._filled[layer] = stop
        return kept[0, :, :stop], kept[1, :, :stop]

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples, as views: no copy, and no memory freed."""
        self._kv = [kept[:, :batch] for kept in self._kv]

    def nbytes(self) -> int:
        """Return the bytes allocated, which neither steps nor `narrow` change."""
        return sum(kept.untyped_storage().nbytes() for kept in self._kv)
