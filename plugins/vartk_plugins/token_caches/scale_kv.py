"""ScaleKV: drafters and refiners, and an observation window (arXiv 2505.19602).

Legend: B batch, n tokens of one scale, T of all that are seen, m that are kept, H heads, D head dim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vartk_registry import VartkError
from vartk_registry.caches import Measuring
from vartk_registry.interfaces import CachePlan, Grid

from .budget import Budgeted, divided, needed
from .held import HeldTokens, highest
from .indices import on_device
from .scores import received

_CELLS = 4
"""The map is parted into this many rows and columns, a token of the window each."""


@dataclass(frozen=True, kw_only=True)
class ScaleKv(Budgeted):
    """Keeps an observation window of the newest map, and the tokens that it attends to most.

    The window are the centres of a 4x4 partition of the map, fewer where the map is smaller. Each head of
    each sample chooses its own tokens; the budget includes the window.

    Pairs of a layer and a scale that it works on are drafters, which attend broadly, or refiners, which
    attend to their own map. A pair's budget is for what it sees of the coarser scales; the budgets
    of a scale's pairs have the mean `budget`. Calibration measures the pairs. How they are parted is
    stated here for want of it in the paper: by the share of their attention that falls on coarser scales.

    Args:
        refiner: a refiner's budget as a share of a drafter's.
        drafters: for each layer its scales as a drafter; none for equal budgets.
        drafter_share: of all pairs, for calibration.
    """

    refiner: float
    drafters: list[list[int]]
    drafter_share: float

    def start(self, plan: CachePlan) -> ScaleKvState:
        """Return the state for a new generation.

        Raises:
            VartkError: `drafters` is of a model with another number of layers, or names no scale.
        """
        if self.drafters and len(self.drafters) != plan.layers:
            raise VartkError(
                f"cache 'scale_kv': drafters is for {len(self.drafters)} layers, this model has "
                f"{plan.layers}; run `vartk calibrate` on it, or leave drafters out"
            )
        if any(step < 1 for steps in self.drafters for step in steps):
            raise VartkError(
                f"cache 'scale_kv': drafters={self.drafters}; scales are counted from 0, and the first has "
                "none to see, so that they are 1 and more"
            )
        return ScaleKvState(plan, [self._rooms(plan, step) for step in range(1, len(plan.schedule))])

    def calibration(self) -> ScaleKvCalibration:
        """Return a measurement of how broadly each layer attends at each scale."""
        return ScaleKvCalibration(self.drafter_share)

    def _rooms(self, plan: CachePlan, step: int) -> list[int]:
        """Return each layer's budget for what it sees at a scale, in tokens."""
        room = self.room(plan)
        drafts = [bool(self.drafters) and step in self.drafters[layer] for layer in range(plan.layers)]
        if room >= needed(plan):
            return [room] * plan.layers
        counts = sum(drafts), plan.layers - sum(drafts)
        large, small = divided(room, *counts, self.refiner, needed(plan))
        return [large if draft else small for draft in drafts]


class ScaleKvState(HeldTokens):
    """A generation's tokens.

    Args:
        rooms: by scale but the first and by layer, the tokens seen there of the scales before.
    """

    def __init__(self, plan: CachePlan, rooms: list[list[int]]) -> None:
        super().__init__(plan)
        self._rooms = rooms

    def choose(self, layer: int, step: int, q: Tensor, k: Tensor) -> Tensor | None:
        """Return the window of this scale and what it attends to most."""
        room, tokens, own = self._rooms[step][layer], k.shape[1], q.shape[1]
        if tokens <= room:
            return None
        window = on_device(observation_window(own, self.plan.schedule.shapes[step]), q.device)
        priority = received(q[:, window], k, self.plan.scale)
        priority[:, tokens - own + window] = torch.inf
        return highest(priority, room)


class ScaleKvCalibration(Measuring):
    """The share of each layer's attention, at each scale but the first, that falls on coarser scales.

    Args:
        share: of all pairs, those with the most of it, that are drafters.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._measured: dict[tuple[int, int], list[float]] = {}

    def measure(self, plan: CachePlan, layer: int, step: int, q: Tensor, k: Tensor) -> None:
        """Take in a scale's attention."""
        if step:
            own = q.shape[1]
            on_coarser = received(q, k, plan.scale)[:, :-own].sum(dim=1) / own
            self._measured.setdefault((layer, step), []).append(float(on_coarser.mean()))

    def parameters(self) -> dict[str, Any]:
        """Return each layer's scales as a drafter.

        Raises:
            VartkError: nothing has been measured.
        """
        if not self._measured:
            raise VartkError("cache 'scale_kv': nothing was measured; sample images of two scales or more")
        means = {pair: sum(values) / len(values) for pair, values in self._measured.items()}
        broadest = sorted(means, key=means.__getitem__, reverse=True)[: round(self._share * len(means))]
        layers = 1 + max(layer for layer, _ in means)
        return {"drafters": [sorted(step for of, step in broadest if of == layer) for layer in range(layers)]}


def observation_window(tokens: int, grid: Grid) -> tuple[int, ...]:
    """Return the tokens at the centres of a 4x4 partition of a map, row by row.

    A map of fewer than 4 rows or columns has fewer of them. Where tokens have been pruned there is no
    map, and 16 of them are taken at equal distances.
    """
    h, w = grid
    if tokens != h * w:
        return _centres(tokens, _CELLS**2)
    return tuple(row * w + column for row in _centres(h, _CELLS) for column in _centres(w, _CELLS))


def _centres(length: int, parts: int) -> tuple[int, ...]:
    """Return the centres of equal parts of a line of cells, each once."""
    return tuple(sorted({(2 * part + 1) * length // (2 * parts) for part in range(parts)}))
