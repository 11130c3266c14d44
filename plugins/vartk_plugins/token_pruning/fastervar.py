"""FasterVAR: the last scales in a low rank, from the null branch alone (arXiv 2512.16483).

Legend: B samples, N images, n tokens of one scale, r rows that are computed, C width, h and w a grid's sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vartk_registry import Unsupported, VartkError, counted
from vartk_registry.caches import AllTokens
from vartk_registry.interfaces import CachePlan, Schedule, Seam
from vartk_registry.noise import KeyedNoise

from .keys import AllKeys
from .ranks import RankCalibration


@dataclass(frozen=True)
class FasterVar:
    """The last scales compute few random mixtures of their tokens, group of blocks by group.

    The n tokens that enter a group are projected along the token axis to r = int(ratio n) + 1 rows, by
    independent normal numbers of variance 1/r. The rows have the positions of the scale's first r tokens.
    After the group they are written at r places, which are drawn without replacement in proportion to |x|^2
    of the tokens that entered. The other places take the group's output at the scale before, resized by area.

    Args:
        scales: how many scales, from the last, are projected.
        ratios: for each of these scales a ratio for each group; one number holds for all groups, one list
            for all scales. A scale whose ratios are 0 is not generated.
        group: blocks of a group.
        drop_conditional: draw these scales from the null branch of guidance alone.
        alpha: the share of the energy that calibration's ratios hold.
        noise: the random numbers of a generation.

    Raises:
        VartkError: the ratios contradict each other.
    """

    scales: int
    ratios: list[list[float]]
    group: int
    drop_conditional: bool
    alpha: float
    noise: KeyedNoise | None = None

    seams: ClassVar[frozenset[Seam]] = frozenset(("tokens", "scales"))

    def __post_init__(self) -> None:
        if len(self.ratios) not in (1, self.scales) or not all(self.ratios):
            raise VartkError(
                f"cache 'fastervar': ratios={self.ratios} for scales={self.scales}; give a list of ratios "
                "for each of these scales, or one list for all, as in [[0.3]]"
            )
        if any(a and not b for b, a in pairwise(map(any, self._rows))):
            raise VartkError(
                f"cache 'fastervar': ratios={self.ratios} skip a scale (0) before one that is generated; "
                "only the last scales can be skipped"
            )

    @property
    def lossless(self) -> bool:
        """Whether all tokens of all scales are computed, in both branches."""
        return not self.drop_conditional and all(ratio >= 1 for row in self.ratios for ratio in row)

    @property
    def _rows(self) -> list[list[float]]:
        """The ratios of each projected scale."""
        return self.ratios if len(self.ratios) == self.scales else self.ratios * self.scales

    def steps(self, schedule: Schedule) -> int:
        """Return the number of scales before those whose ratios are 0."""
        return len(schedule) - sum(not any(row) for row in self._rows)

    def unconditional_from(self, schedule: Schedule) -> int:
        """Return the first scale that is drawn from the null branch of guidance alone.

        Raises:
            VartkError: no scale is left that is computed in full.
        """
        first = len(schedule) - self.scales
        if first < 1:
            raise VartkError(
                f"cache 'fastervar': scales={self.scales} leaves none of the "
                f"{counted(len(schedule), 'scale')} to compute in full; give at most {len(schedule) - 1}"
            )
        return first if self.drop_conditional else len(schedule)

    def seeded(self, noise: KeyedNoise) -> FasterVar:
        """Return the strategy with the random numbers of a generation."""
        return replace(self, noise=noise)

    def start(self, plan: CachePlan) -> FasterVarState:
        """Return the state for a new generation.

        Raises:
            VartkError: the ratios do not fit the model's groups or its scales.
        """
        self.unconditional_from(plan.schedule)
        groups = -(-plan.layers // self.group)
        rows = [[1.0]] * (len(plan.schedule) - self.scales) + self._rows
        for row in rows:
            if len(row) not in (1, groups):
                raise VartkError(
                    f"cache 'fastervar': {counted(len(row), 'ratio')} for {counted(groups, 'group')} of "
                    f"{self.group} blocks ({plan.layers} blocks in all); give {groups} for each scale, or one"
                )
        computed = [
            [min(int(ratio * n) + 1, n) for ratio in (row * groups)[:groups]]
            for row, n in zip(rows, plan.schedule.sizes, strict=True)
        ]
        return FasterVarState(plan, self, computed[: self.steps(plan.schedule)])

    def calibration(self) -> RankCalibration:
        """Return a measurement of the ranks of the tokens that enter the groups."""
        return RankCalibration(self.scales, self.group, self.alpha, [any(row) for row in self._rows])


class FasterVarState(AllTokens, AllKeys):
    """Each group's output at the last scale, where the next one needs it, and the keys of computed rows.

    Keys of the projected scales get memory when the first of these scales begins, where one of the branches
    of guidance may have been dropped.

    Args:
        plan: of the generation.
        strategy: holds the random numbers.
        computed: how many tokens or rows each group computes, for each scale that is generated.
    """

    def __init__(self, plan: CachePlan, strategy: FasterVar, computed: Sequence[Sequence[int]]) -> None:
        self._first = len(plan.schedule) - strategy.scales
        self._strategy = strategy
        self._grids = plan.schedule.shapes
        self._last_layer = plan.layers - 1
        self._computed = computed
        self._sizes = plan.schedule.sizes
        in_full, self._in_all = (
            [sum(of_groups[layer // strategy.group] for of_groups in part) for layer in range(plan.layers)]
            for part in (computed[: self._first], computed)
        )
        super().__init__(plan, in_full)
        self._outputs: dict[int, Tensor] = {}
        self._places: Tensor | None = None

    def enter(self, layer: int, step: int, x: Tensor) -> Tensor:
        """Return the rows [B, r, C] of the tokens x [B, n, C] that enter a group."""
        group, within = divmod(layer, self._strategy.group)
        if within or not self._projects(group, step):
            return x
        count = self._computed[step][group]
        index = 2 * (step * len(self._computed[step]) + group)
        self._places = drawn_places(x, self._uniform(index, x, ()), count)
        return projected(x, self._uniform(index + 1, x, (count,)))

    def leave(self, layer: int, step: int, x: Tensor) -> Tensor:
        """Return a group's output [B, n, C], of its rows [B, r, C]."""
        group, within = divmod(layer, self._strategy.group)
        if within < self._strategy.group - 1 and layer < self._last_layer:
            return x
        if self._places is not None:
            x = written(x, self._places, self._outputs.pop(group), self._grids[step])
            self._places = None
        if self._projects(group, step + 1):
            maps_BChw = x.transpose(1, 2).unflatten(2, self._grids[step])
            self._outputs[group] = maps_BChw.to(self._dtype, copy=True)
        return x

    def select(self, layer: int, branch: str, step: int, x: Tensor) -> None:
        """Return None: all rows are computed.

        Raises:
            Unsupported: there are more than `enter` returned.
        """
        if x.shape[1] != self._computed[step][layer // self._strategy.group]:
            raise Unsupported(
                "cache 'fastervar': this transformer does not call a cache's `enter` and `leave` around its "
                "blocks; take another cache, such as fastvar"
            )

    def append(self, layer: int, step: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Copy k and v [B, r, H, D] in; return views of all so far, [B, T, H, D] each."""
        if step == self._first and layer in self._kv:
            self._grow(layer, self._in_all[layer])
        return super().append(layer, step, q, k, v)

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples."""
        super().narrow(batch)
        self._outputs = {group: maps[:batch] for group, maps in self._outputs.items()}

    def nbytes(self) -> int:
        """Return the bytes of keys, values and stored outputs."""
        return super().nbytes() + sum(maps.untyped_storage().nbytes() for maps in self._outputs.values())

    def _projects(self, group: int, step: int) -> bool:
        return step < len(self._computed) and self._computed[step][group] < self._sizes[step]

    def _uniform(self, index: int, x: Tensor, more: tuple[int, ...]) -> Tensor:
        """Return numbers [B, n, *more] between 0 and 1, the same ones for both samples of an image."""
        noise = self._strategy.noise or KeyedNoise(torch.zeros(1, dtype=torch.int64, device=x.device))
        uniform = noise.uniform(index, (x.shape[1], *more))
        return uniform.repeat(len(x) // len(noise), *(1 for _ in uniform.shape[1:]))


def projected(x_BnC: Tensor, uniform_Bnr: Tensor) -> Tensor:
    """Return Q^T x, [B, r, C], where Q holds normal numbers of variance 1/r."""
    q_Bnr = torch.special.ndtri(uniform_Bnr) * uniform_Bnr.shape[-1] ** -0.5
    return (q_Bnr.mT.to(x_BnC.dtype) @ x_BnC).to(x_BnC.dtype)


def drawn_places(x_BnC: Tensor, uniform_Bn: Tensor, count: int) -> Tensor:
    """Return `count` distinct indices [B, r] in their order, drawn one by one in proportion to |x|^2.

    A race decides: the smallest of exponential numbers with these rates come first.
    """
    energy_Bn = x_BnC.float().square().sum(dim=-1)
    return (energy_Bn / -uniform_Bn.log()).topk(count, dim=1).indices.sort(dim=1).values


def written(rows_BrC: Tensor, places_Br: Tensor, before_BChw: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return rows written at their places over an earlier output, which is resized to the grid: [B, n, C]."""
    moved_BChw = F.interpolate(before_BChw, size=grid, mode="area")
    moved_BnC = moved_BChw.flatten(2).transpose(1, 2).to(rows_BrC.dtype).contiguous()
    samples_B1 = torch.arange(len(places_Br), device=places_Br.device)[:, None]
    moved_BnC.index_put_((samples_B1, places_Br), rows_BrC)
    return moved_BnC
