"""A generation's state that holds some tokens of each head.

Legend: B batch, n tokens of one scale, T of all that are seen, m that are kept, H heads, D head dim.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from vartk_registry.caches import AllTokens
from vartk_registry.interfaces import CachePlan


class HeldTokens(AllTokens, ABC):
    """Keys and values of each layer; a scale sees those that are held, and itself.

    What is over the budget is evicted after a scale has attended, for each sample and head by itself.
    Nothing is held once a layer has done the last scale.
    """

    def __init__(self, plan: CachePlan) -> None:
        self.plan = plan
        self.last = len(plan.schedule) - 1
        self._held: dict[int, tuple[Tensor, Tensor]] = {}  # [B, T, H, D] each

    @abstractmethod
    def choose(self, layer: int, step: int, q: Tensor, k: Tensor) -> Tensor | None:
        """Return the indices [B, m, H], ascending, of the tokens to hold; None for all.

        It is called after each scale but the last, with its queries q [B, n, H, D] and the keys k
        [B, T, H, D] that they saw, the scale's own last.
        """

    def append(self, layer: int, step: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values [B, T, H, D] that are held, this scale's at the end."""
        held_k, held_v = self._held.pop(layer, (k[:, :0], v[:, :0]))
        k, v = torch.cat((held_k, k), dim=1), torch.cat((held_v, v), dim=1)
        if step < self.last:
            kept = self.choose(layer, step, q, k)
            self._held[layer] = (k, v) if kept is None else (taken(k, kept), taken(v, kept))
        return k, v

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples; the memory of the others is freed."""
        self._held = {layer: (k[:batch].clone(), v[:batch].clone()) for layer, (k, v) in self._held.items()}

    def nbytes(self) -> int:
        """Return the bytes held now."""
        return sum(k.nbytes + v.nbytes for k, v in self._held.values())


def taken(x: Tensor, kept_BmH: Tensor) -> Tensor:
    """Return the tokens of x [B, T, H] or [B, T, H, D] at these indices, for each head its own."""
    if x.ndim == 4:
        kept_BmH = kept_BmH[..., None].expand(-1, -1, -1, x.shape[-1])
    return x.gather(1, kept_BmH)


def highest(priority_BTH: Tensor, count: int) -> Tensor:
    """Return the indices [B, count, H], ascending, of the highest; of equals the newest."""
    order = priority_BTH.flip(1).argsort(dim=1, descending=True, stable=True)[:, :count]
    return (priority_BTH.shape[1] - 1 - order).sort(dim=1).values
