"""The keys and values of all tokens that are computed.

Legend: B batch, n tokens of one scale, T tokens so far, H heads, D head dim.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vartk_registry.interfaces import CachePlan


class AllKeys:
    """Keys and values of each layer, [2, B, tokens of the layer, H, D], filled from the front.

    A layer's memory is allocated once, when its first keys come: in a chain another strategy may keep
    them.
    """

    def __init__(self, plan: CachePlan, tokens: Sequence[int]) -> None:
        self._shapes = [(2, plan.batch, count, plan.heads, plan.head_dim) for count in tokens]
        self._dtype, self._device = plan.dtype, plan.device
        self._batch = plan.batch
        self._kv: dict[int, Tensor] = {}
        self._filled = [0] * plan.layers

    def append(self, layer: int, step: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Copy k and v [B, n, H, D] in; return views of all so far, [B, T, H, D] each."""
        if layer not in self._kv:
            kept = torch.empty(self._shapes[layer], dtype=self._dtype, device=self._device)
            self._kv[layer] = kept[:, : self._batch]
        start = self._filled[layer]
        stop = start + k.shape[1]
        kept = self._kv[layer]
        kept[0, :, start:stop] = k
        kept[1, :, start:stop] = v
        self._filled[layer] = stop
        return kept[0, :, :stop], kept[1, :, :stop]

    def _grow(self, layer: int, tokens: int) -> None:
        """Give a layer new memory, of the samples that are left and of more tokens."""
        held = self._kv[layer]
        self._kv[layer] = held.new_empty(2, self._batch, tokens, *held.shape[3:])
        self._kv[layer][:, :, : held.shape[2]] = held

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples, as views."""
        self._batch = batch
        self._kv = {layer: kept[:, :batch] for layer, kept in self._kv.items()}

    def nbytes(self) -> int:
        """Return the bytes allocated."""
        return sum(kept.untyped_storage().nbytes() for kept in self._kv.values())
