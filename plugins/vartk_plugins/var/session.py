"""One generation, step by step with a cache: a scale or, in raster order, a token at a time.

Legend: B batch, n codes of a step, M tokens of all steps, m of one (or those of them that are
computed), T keys, H heads, D head dim, d = D/2 pairs of channels, C width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vartk_registry import MaskSpec, Unsupported
from vartk_registry.interfaces import (
    AttendingState,
    CachePlan,
    CacheState,
    CacheStrategy,
    GroupingState,
    MergingState,
    Schedule,
)
from vartk_registry.interfaces.attention import Attend
from vartk_registry.precision import compute_dtype

from .blocks import Compute
from .context import start_bounded
from .patches import packed
from .rope import rotated

Mix = Callable[[Tensor, Tensor], Tensor]
"""Mixes what the conditional and the null half have, into one for both."""


class ScaleSession:
    """The cache, and what the condition and the schedule fix for all steps: modulations, positions.

    Args:
        model: a `ScaleTransformer`.
        vector, block_condition: of its `conditioned`.
        schedule: what to generate.
        cache: makes the cache's state.
        attend: attention.
    """

    def __init__(
        self,
        model: Any,
        vector: Tensor,
        block_condition: Any,
        schedule: Schedule,
        cache: CacheStrategy,
        attend: Attend,
    ) -> None:
        self._model = model
        self._grids = schedule.shapes
        tokens = packed(schedule, model.patch)
        self._tokens = tokens
        self._attend = attend
        self._step = 0
        self._vector_BC = vector
        self._layout_1MC = model.layout(tokens)
        self._turns_1Md2 = model.turns(tokens)
        self._turns: Tensor | None = None
        self._mask: MaskSpec | None = None
        self._head_modulation = model.head_modulate(vector)
        self._prepared = [block.prepare(block_condition) for block in model.blocks]
        plan = CachePlan(
            schedule=tokens,
            layers=len(model.blocks),
            batch=len(vector),
            heads=model.heads,
            head_dim=vector.shape[1] // model.heads,
            scale=model.blocks[0].attention.fixed_scale,
            dtype=compute_dtype(model.head.weight),
            device=vector.device,
        )
        if model.context is None:
            self.cache: CacheState = cache.start(plan)
        else:
            self.cache = start_bounded(cache, plan, model.context, model.neighbourhood)
        self._cache_attends = isinstance(self.cache, AttendingState)
        self._cache_merges = isinstance(self.cache, MergingState)
        self._cache_groups = isinstance(self.cache, GroupingState)

    def step(self, inputs: Tensor | None) -> Tensor:
        """Return the logits [B, n, *shape, classes] of the next step; see `Session` of the interface."""
        return self._logits(inputs, None, None)

    def guided_step(self, inputs: Tensor | None, layer: int, mix: Mix) -> Tensor:
        """Return the logits of the next step, both halves mixed after the `layer`-th block from the end.

        Raises:
            Unsupported: there are not so many blocks.
        """
        depth = len(self._model.blocks)
        if not 1 <= layer <= depth:
            raise Unsupported(
                f"guidance.layer={layer} lies before the first of {depth} blocks; give 1 (after the last "
                f"block) to {depth}, or 0 for guidance of the logits"
            )
        return self._logits(inputs, depth - layer, mix)

    def narrow(self, batch: int) -> None:
        """Go on with the first `batch` samples alone."""
        self._vector_BC = self._vector_BC[:batch]
        self._head_modulation = self._head_modulation[:batch]
        self._prepared = [
            tuple(None if part is None else part[:batch] for part in prepared) for prepared in self._prepared
        ]
        self.cache.narrow(batch)

    def _logits(self, inputs: Tensor | None, mixed: int | None, mix: Mix | None) -> Tensor:
        if (inputs is None) != (self._step == 0):
            raise ValueError("the first step takes no inputs, and every other one does")
        start, stop = self._tokens.spans[self._step]
        grids = self._grids[self._step : self._step + 1]
        tokens = self._vector_BC[:, None] if inputs is None else self._model.embed_inputs(inputs, grids)
        x_BmC = tokens + self._layout_1MC[:, start:stop]
        self._mask = None
        if self._model.neighbourhood is not None:
            context = self._model.context, self._model.neighbourhood
            self._mask = MaskSpec.step(self._tokens, self._step, *context)
        for layer, block in enumerate(self._model.blocks):
            if self._cache_groups:
                x_BmC = self.cache.enter(layer, self._step, x_BmC)
            if self._turns_1Md2 is not None:
                self._turns = self._turns_1Md2[:, start : start + x_BmC.shape[1]]
            attend = partial(self._attend_cached, layer)
            around = partial(self._on_selected, layer)
            x_BmC = block.run(x_BmC, self._prepared[layer], attend, around)
            if self._cache_groups:
                x_BmC = self.cache.leave(layer, self._step, x_BmC)
            if layer == mixed:
                half_BmC = mix(*x_BmC.chunk(2))
                x_BmC = torch.cat((half_BmC, half_BmC))
        self._step += 1
        return self._model.logits(x_BmC, self._head_modulation, grids)

    def _attend_cached(
        self, layer: int, q_BmHD: Tensor, k: Tensor, v: Tensor, *, scale: float, dropout: float
    ) -> Tensor:
        def attend(q_BmHD: Tensor, k_BTHD: Tensor, v_BTHD: Tensor) -> Tensor:
            mask = self._mask or MaskSpec.full(q_BmHD.shape[1], k_BTHD.shape[1])
            return self._attend(q_BmHD, k_BTHD, v_BTHD, mask=mask, scale=scale, dropout=dropout)

        if self._turns_of_kept is not None:
            q_BmHD, k = (rotated(x, self._turns_of_kept) for x in (q_BmHD, k))
        if self._cache_attends:
            return self.cache.attend(layer, self._step, q_BmHD, k, v, attend)
        return attend(q_BmHD, *self.cache.append(layer, self._step, q_BmHD, k, v))

    def _on_selected(self, layer: int, branch: str, x_BnC: Tensor, compute: Compute) -> Tensor:
        kept_Bm = self.cache.select(layer, branch, self._step, x_BnC)
        self._turns_of_kept = self._turns
        if kept_Bm is not None and self._turns is not None:
            self._turns_of_kept = self._turns[0][kept_Bm]
        if kept_Bm is None:
            x_BmC = x_BnC
        elif self._cache_merges:
            x_BmC = self.cache.merge(layer, branch, self._step, x_BnC, kept_Bm)
        else:
            x_BmC = _taken(x_BnC, kept_Bm)
        return self.cache.restore(layer, branch, self._step, compute(x_BmC), kept_Bm)


def _taken(x_BnC: Tensor, kept_Bm: Tensor) -> Tensor:
    """Return tokens by index: rows of one matrix, copied whole, where `gather` goes by elements."""
    first_B1 = x_BnC.shape[1] * torch.arange(len(x_BnC), device=x_BnC.device)[:, None]
    rows_BmC = x_BnC.flatten(0, 1).index_select(0, (first_B1 + kept_Bm).flatten())
    return rows_BmC.unflatten(0, kept_Bm.shape)
