"""The keys and values of a model whose scales see only a few scales before them.

Legend: B batch, n tokens of one scale, T of all that are seen, H heads, D head dim.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vartk_registry import Unsupported
from vartk_registry.caches import AllTokens
from vartk_registry.interfaces import (
    CachePlan,
    CacheState,
    CacheStrategy,
    Calibration,
    GroupingState,
    MergingState,
    PartialStrategy,
)


def start_bounded(
    cache: CacheStrategy, plan: CachePlan, context: int, neighbourhood: int | None
) -> CacheState:
    """Return the state of a generation in which a scale sees itself and `context` scales before it.

    Raises:
        Unsupported: the cache decides which keys are kept, too, or measures attention to all of them. Or it
            leaves tokens out, which neighbourhoods need at their places.
    """
    prunes = isinstance(cache, PartialStrategy) and "tokens" in cache.seams and not cache.lossless
    if neighbourhood is not None and prunes:
        raise Unsupported(
            f"transformer 'var' has neighbourhood={neighbourhood}: a token attends to those around it, so "
            "all must be computed; take cache=full, or skip_last"
        )
    if isinstance(cache, PartialStrategy) and "keys" not in cache.seams:
        return BoundedContext(plan, context, cache.start(plan))
    if cache.lossless and not isinstance(cache, Calibration):
        return BoundedContext(plan, context, None)
    raise Unsupported(
        f"transformer 'var' has context={context}: the model itself decides which keys and values are kept, "
        "and they are few; take cache=full, or a cache that decides about tokens or scales, such as fastvar"
    )


class BoundedContext(AllTokens):
    """Keys and values of each layer's last `context` scales, and another state's choice of tokens.

    Args:
        plan: of the generation.
        context: in scales, beside the one in work.
        pruner: decides which tokens are computed; None for all.
    """

    def __init__(self, plan: CachePlan, context: int, pruner: CacheState | None) -> None:
        self._last = len(plan.schedule) - 1
        self._context = context
        # a tensor [2, B, n, H, D] a scale, so that what is out of sight is freed
        self._held: list[list[Tensor]] = [[] for _ in range(plan.layers)]
        self._pruner = pruner
        if pruner is not None:
            self.select = pruner.select
            self.restore = pruner.restore
            if isinstance(pruner, MergingState):
                self.merge = pruner.merge
            if isinstance(pruner, GroupingState):
                self.enter = pruner.enter
                self.leave = pruner.leave

    def append(self, layer: int, step: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values [B, T, H, D] in sight, this scale's at the end."""
        held = self._held[layer]
        seen_k, seen_v = (
            torch.cat([*(kv[index] for kv in held), own], dim=1) for index, own in enumerate((k, v))
        )
        if self._context and step < self._last:
            self._held[layer] = [*held, torch.stack((k, v))][-self._context :]
        else:
            self._held[layer] = []
        return seen_k, seen_v

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples; the memory of the others is freed."""
        self._held = [[kv[:, :batch].clone() for kv in held] for held in self._held]
        if self._pruner is not None:
            self._pruner.narrow(batch)

    def nbytes(self) -> int:
        """Return the bytes of the scales held now, and of the other state."""
        own = sum(kv.nbytes for held in self._held for kv in held)
        return own + (0 if self._pruner is None else self._pruner.nbytes())
