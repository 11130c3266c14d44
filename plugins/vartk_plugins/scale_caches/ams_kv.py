"""AMS-KV: adaptive multi-scale caching (arXiv 2511.16047).

Legend: B batch, n tokens of one scale, H heads, D head dim, h and w a grid's sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vartk_registry import VartkError
from vartk_registry.caches import AllScales, Measuring
from vartk_registry.interfaces import CachePlan, Grid

from .held import HeldScales


@dataclass(frozen=True)
class AmsKv(AllScales):
    """Locks the coarsest scales; of the others the oldest is evicted where a layer's budget is used up.

    Every layer starts with a budget of `c_min` scales. Where that is used up, a layer whose keys differ
    much from those of the scale before is cache-demanding, and has `c_max` from then on. A scale is
    evicted after the scale in work has attended.

    The finest scales have most of the tokens, so that budgets in scales are more memory on one schedule
    than on another. After a scale all layers together hold the tokens of `budget` at most. Layer by layer,
    the locked scales and the newest one take what they need of what is left; where there is no room for
    the newest, the next older one stays. Further ones only fill up the layer's equal share.

    The paper leaves the units open. Here budgets are in scales, and the similarity of scale i is
    -|K_i - K'| / |K_i| in the 2-norm over tokens, heads and dims, where K' is K_(i-1) interpolated
    bilinearly to grid i: 0 where they are equal, about -1.4 where they are unrelated. The layers below
    a quantile of all layers' similarities are found by calibration, once for a model (`demanding`).
    Without it each generation compares, as long as the scale before is held, with `threshold`, and its
    first image decides for the batch.

    Args:
        condensed, c_min, c_max: in scales.
        budget: the mean over layers, as a share of the schedule's tokens.
        threshold: of the similarity.
        demanding: indices of the cache-demanding layers, or None.
        demanding_share: of the layers, for calibration.

    Raises:
        VartkError: the budgets do not grow from `condensed` over `c_min` to `c_max`.
    """

    condensed: int
    c_min: int
    c_max: int
    budget: float
    threshold: float
    demanding: list[int] | None
    demanding_share: float

    lossless = False

    def __post_init__(self) -> None:
        if not self.condensed <= self.c_min <= self.c_max:
            raise VartkError(
                f"cache 'ams_kv': condensed={self.condensed}, c_min={self.c_min}, c_max={self.c_max}; a "
                "budget must hold the condensed scales, and c_max be at least c_min"
            )

    def start(self, plan: CachePlan) -> AmsKvState:
        """Return the state for a new generation.

        Raises:
            VartkError: `demanding` names a layer that the model does not have.
        """
        if self.demanding and max(self.demanding) >= plan.layers:
            raise VartkError(
                f"cache 'ams_kv': demanding={self.demanding} is of another model, this one has {plan.layers} "
                "layers; run `vartk calibrate` on it, or leave demanding out"
            )
        return AmsKvState(plan, self)

    def calibration(self) -> AmsKvCalibration:
        """Return a measurement of each layer's similarity."""
        return AmsKvCalibration(self.condensed, self.demanding_share)


class AmsKvState(HeldScales):
    """A generation's scales, the budget of each layer, and the tokens that it holds of each sample."""

    def __init__(self, plan: CachePlan, strategy: AmsKv) -> None:
        super().__init__(plan)
        self._grids = plan.schedule.shapes
        self._strategy = strategy
        demanding = strategy.demanding or []
        self._budgets = [
            strategy.c_max if layer in demanding else strategy.c_min for layer in range(plan.layers)
        ]
        self._share = strategy.budget * plan.schedule.total
        self._most = self._share * plan.layers
        self._tokens = [0] * plan.layers
        self._least = [0] * plan.layers  # without what only fills up a share

    def keep(self, layer: int, held: Mapping[int, Tensor], step: int, k: Tensor) -> Sequence[int]:
        """Return the locked scales and, of the others, as many of the newest as the budgets have room for."""
        sizes = {scale: kv.shape[2] for scale, kv in held.items()} | {step: k.shape[1]}
        if len(sizes) > self._budgets[layer] and self._switches(layer, held, step, k):
            self._budgets[layer] = self._strategy.c_max
        locked = [scale for scale in sizes if scale < self._strategy.condensed]
        others = sorted(sizes.keys() - locked, reverse=True)
        places = self._budgets[layer] - len(locked)
        left = self._most - sum(self._tokens[:layer]) - sum(self._least[layer + 1 :])
        kept: list[int] = []

        def take(scales: Sequence[int], count: int, most: float) -> None:
            for scale in scales:
                if count > 0 and sum(sizes[each] for each in (*kept, scale)) <= most:
                    kept.append(scale)
                    count -= 1

        take(locked, len(locked), left)
        take(others, min(1, places), left)
        self._least[layer] = sum(sizes[scale] for scale in kept)
        take([scale for scale in others if scale not in kept], places - 1, min(left, self._share))
        self._tokens[layer] = sum(sizes[scale] for scale in kept)
        return sorted(kept)

    def _switches(self, layer: int, held: Mapping[int, Tensor], step: int, k: Tensor) -> bool:
        strategy = self._strategy
        if strategy.demanding is not None or self._budgets[layer] == strategy.c_max or step - 1 not in held:
            return False
        before = held[step - 1][0]
        grids = self._grids[step - 1], self._grids[step]
        if any(tokens.shape[1] != h * w for tokens, (h, w) in zip((before, k), grids, strict=True)):
            return False  # some tokens were pruned: these are not grids
        if k.is_meta:
            return False  # where operations are only counted, there are no numbers to compare
        return bool(similarity(k[:1], before[:1], *grids) < strategy.threshold)


class AmsKvCalibration(Measuring):
    """The mean similarity of each layer, over samples and the scales that are not condensed.

    Args:
        condensed: in scales.
        share: of the layers, those of the lowest similarity, that are cache-demanding.
    """

    def __init__(self, condensed: int, share: float) -> None:
        self._first = max(1, condensed)
        self._share = share
        self._measured: dict[int, list[Tensor]] = {}

    def measure(self, plan: CachePlan, layer: int, step: int, q: Tensor, k: Tensor) -> None:
        """Take in the similarity of a scale's keys to those of the scale before."""
        if step >= self._first:
            before, own = (k[:, slice(*plan.schedule.spans[index])] for index in (step - 1, step))
            grids = plan.schedule.shapes[step - 1 : step + 1]
            self._measured.setdefault(layer, []).append(similarity(own, before, *grids))

    def parameters(self) -> dict[str, Any]:
        """Return the cache-demanding layers.

        Raises:
            VartkError: nothing has been measured.
        """
        if not self._measured:
            raise VartkError(
                f"cache 'ams_kv': nothing was measured; sample images of more than {self._first} scales"
            )
        means = {layer: float(torch.cat(values).mean()) for layer, values in self._measured.items()}
        lowest = sorted(means, key=means.__getitem__)[: round(self._share * len(means))]
        return {"demanding": sorted(lowest)}


def similarity(k_BnHD: Tensor, before_BmHD: Tensor, before: Grid, grid: Grid) -> Tensor:
    """Return -|K - K'| / |K| of each sample, [B]: K' are the keys of `before`, interpolated to `grid`."""
    k, coarse = k_BnHD.flatten(2).float(), before_BmHD.flatten(2).float()
    maps_BEhw = coarse.transpose(1, 2).unflatten(2, before)
    moved = F.interpolate(maps_BEhw, size=grid, mode="bilinear").flatten(2).transpose(1, 2)
    return -(k - moved).norm(dim=(1, 2)) / k.norm(dim=(1, 2))
