"""A generation's state that holds whole scales, a tensor each, so that what is evicted is freed.

Legend: B batch, n tokens of one scale, T of all that are seen, H heads, D head dim.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vartk_registry.caches import AllTokens
from vartk_registry.interfaces import CachePlan


class HeldScales(AllTokens, ABC):
    """Keys and values of each layer by scale; a scale sees those that are held, and itself.

    What is over the budget is evicted after a scale has attended. Nothing is held once a layer has
    done the last scale.
    """

    def __init__(self, plan: CachePlan) -> None:
        self._last = len(plan.schedule) - 1
        self._held: list[dict[int, Tensor]] = [{} for _ in range(plan.layers)]  # each [2, B, n, H, D]

    @abstractmethod
    def keep(self, layer: int, held: Mapping[int, Tensor], step: int, k: Tensor) -> Sequence[int]:
        """Return which of the scales held and `step`, whose keys are k [B, n, H, D], are to be held.

        `held` has the keys and values [2, B, n, H, D] of coarser scales.
        """

    def append(self, layer: int, step: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values [B, T, H, D] that are held, this scale's at the end."""
        held = self._held[layer]
        seen_k, seen_v = (
            torch.cat([*(kv[index] for kv in held.values()), own], dim=1) for index, own in enumerate((k, v))
        )
        kept = self.keep(layer, held, step, k) if step < self._last else ()
        if step in kept:
            held = {**held, step: torch.stack((k, v))}
        self._held[layer] = {scale: held[scale] for scale in kept}
        return seen_k, seen_v

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples; the memory of the others is freed."""
        self._held = [{step: kv[:, :batch].clone() for step, kv in held.items()} for held in self._held]

    def nbytes(self) -> int:
        """Return the bytes of the scales held now."""
        return sum(kv.nbytes for held in self._held for kv in held.values())
