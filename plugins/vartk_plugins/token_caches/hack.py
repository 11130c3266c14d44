"""HACK: budgets by head (arXiv 2504.09261).

Legend: B batch, n tokens of one scale, T of all that are seen, m that are kept, H heads, D head dim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vartk_registry import Unsupported, VartkError
from vartk_registry.caches import AllTokens, Measuring
from vartk_registry.interfaces import CachePlan

from .budget import Budgeted, divided, needed
from .held import HeldTokens, highest
from .indices import on_device
from .scores import probabilities, received

_SINKS = 2
"""The coarsest scales, which structural heads keep first."""


@dataclass(frozen=True, kw_only=True)
class Hack(Budgeted):
    """Keeps few tokens in contextual heads, and more in structural ones.

    In a contextual head all queries attend to the same keys: it keeps those that received the most
    attention from the newest scale. A structural head keeps the two coarsest scales, then the newest one,
    then of those between the tokens that received the most; where the budget is too small
    for one of these, its tokens with the most attention. Each sample chooses its own tokens.

    Calibration tells the heads apart by the variance over queries of the attention to a key, which is low
    in contextual heads. Without it all heads are structural. The budgets have the mean `budget`.

    Args:
        contextual_budget: a contextual head's budget as a share of a structural one's.
        contextual: for each layer its contextual heads; none if all are structural.
        contextual_share: of all heads, for calibration.
    """

    contextual_budget: float
    contextual: list[list[int]]
    contextual_share: float

    def start(self, plan: CachePlan) -> HackState:
        """Return the state for a new generation.

        Raises:
            VartkError: `contextual` is of a model with other numbers of layers or heads.
        """
        table = self.contextual or [[]] * plan.layers
        heads = set(range(plan.heads))
        if len(table) != plan.layers or any(len(set(few) & heads) < len(few) for few in table):
            raise VartkError(
                f"cache 'hack': contextual={table} does not fit this model of {plan.layers} layers with "
                f"{plan.heads} heads; run `vartk calibrate` on it, or leave contextual out"
            )
        structural = contextual = self.room(plan)
        if structural < needed(plan):
            few = sum(map(len, table))
            counts = plan.layers * plan.heads - few, few
            structural, contextual = divided(structural, *counts, self.contextual_budget, needed(plan))
        return HackState(plan, table, structural, contextual)

    def calibration(self) -> HackCalibration:
        """Return a measurement of each head's variance."""
        return HackCalibration(self.contextual_share)


class HackState(AllTokens):
    """A generation's tokens: in each layer one set for the structural heads, one for the contextual ones.

    Args:
        contextual: the contextual heads of each layer.
        rooms: the budgets of structural and contextual heads, in tokens.
    """

    def __init__(self, plan: CachePlan, contextual: list[list[int]], *rooms: int) -> None:
        self._parts = _Structural(plan, rooms[0]), _Contextual(plan, rooms[1])
        self._groups: list[list[tuple[tuple[int, ...], HeldTokens]]] = []
        for few in contextual:
            others = [head for head in range(plan.heads) if head not in few]
            self._groups.append(
                [
                    (tuple(heads), part)
                    for heads, part in zip((others, few), self._parts, strict=True)
                    if heads
                ]
            )

    def append(self, layer: int, step: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values [B, T, H, D] that are held, where all heads are of one sort.

        Raises:
            Unsupported: they are not, and so hold different numbers of keys.
        """
        if len(self._groups[layer]) > 1:
            raise Unsupported(
                "cache 'hack': heads hold different numbers of keys; what samples must call the state's "
                "`attend`, or `contextual` be left out"
            )
        return self._groups[layer][0][1].append(layer, step, q, k, v)

    def attend(
        self,
        layer: int,
        step: int,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        attend: Callable[[Tensor, Tensor, Tensor], Tensor],
    ) -> Tensor:
        """Return the attention's output [B, n, H, D], computed for each sort of head by itself."""
        if len(self._groups[layer]) == 1:
            return attend(q, *self.append(layer, step, q, k, v))
        out = torch.empty_like(q)
        for heads, part in self._groups[layer]:
            own = on_device(heads, q.device)
            own_q, own_k, own_v = (x[:, :, own] for x in (q, k, v))
            out[:, :, own] = attend(own_q, *part.append(layer, step, own_q, own_k, own_v))
        return out

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples; the memory of the others is freed."""
        for part in self._parts:
            part.narrow(batch)

    def nbytes(self) -> int:
        """Return the bytes held now."""
        return sum(part.nbytes() for part in self._parts)


class _Contextual(HeldTokens):
    def __init__(self, plan: CachePlan, room: int) -> None:
        super().__init__(plan)
        self._room = room

    def choose(self, layer: int, step: int, q: Tensor, k: Tensor) -> Tensor | None:
        if k.shape[1] <= self._room:
            return None
        return highest(received(q, k, self.plan.scale), self._room)


class _Structural(HeldTokens):
    def __init__(self, plan: CachePlan, room: int) -> None:
        super().__init__(plan)
        self._room = room
        self._sinks = [0] * plan.layers  # tokens of the coarsest scales, which are always in front

    def choose(self, layer: int, step: int, q: Tensor, k: Tensor) -> Tensor | None:
        tokens, own = k.shape[1], q.shape[1]
        sinks = tokens if step < _SINKS else self._sinks[layer]
        self._sinks[layer] = min(sinks, self._room)
        if tokens <= self._room:
            return None
        priority = received(q, k, self.plan.scale) / own  # at most 1
        priority[:, max(sinks, tokens - own) :] += 2
        priority[:, :sinks] += 4
        return highest(priority, self._room)


class HackCalibration(Measuring):
    """The variance over queries of the attention to a key, summed over keys: a mean for each head.

    Args:
        share: of all heads, those of the lowest variance, that are contextual.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._measured: dict[int, list[Tensor]] = {}

    def measure(self, plan: CachePlan, layer: int, step: int, q: Tensor, k: Tensor) -> None:
        """Take in a scale's attention; a single query has no variance."""
        if q.shape[1] > 1:
            self._measured.setdefault(layer, []).append(column_variance(q, k, plan.scale).mean(dim=0).cpu())

    def parameters(self) -> dict[str, Any]:
        """Return each layer's contextual heads.

        Raises:
            VartkError: nothing has been measured.
        """
        if not self._measured:
            raise VartkError(
                "cache 'hack': nothing was measured; sample images of more than one token a scale"
            )
        of_layers = [torch.stack(values).mean(dim=0) for _, values in sorted(self._measured.items())]
        variances = torch.stack(of_layers)  # [layers, H]
        lowest = variances.flatten().argsort(stable=True)[: round(self._share * variances.numel())].tolist()
        heads = variances.shape[1]
        return {
            "contextual": [
                sorted(index % heads for index in lowest if index // heads == layer)
                for layer in range(len(variances))
            ]
        }


def column_variance(q_BnHD: Tensor, k_BTHD: Tensor, scale: float) -> Tensor:
    """Return the variance over queries of the attention to each key, summed over keys, [B, H]."""
    pieces = [(p.sum(dim=2), p.square().sum(dim=2)) for p in probabilities(q_BnHD, k_BTHD, scale)]
    sums, squares = (torch.stack(each).sum(dim=0) / q_BnHD.shape[1] for each in zip(*pieces, strict=True))
    return (squares - sums.square()).sum(dim=-1)
