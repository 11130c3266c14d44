"""What is added to each token for its place: learned positions and levels.

Legend: L tokens of all scales, K scales, n0 tokens of the first step, C width.
"""

from __future__ import annotations

import functools
import logging

import torch
import torch.nn.functional as F
from torch import Tensor

from vartk_registry import VartkError
from vartk_registry.interfaces import Grid, Schedule

logger = logging.getLogger(__name__)


def lay_out(
    start_1nC: Tensor, position_1LC: Tensor | None, level_KC: Tensor, trained: Schedule, schedule: Schedule
) -> Tensor:
    """Return the sum of start (first step alone), position and level of each token of `schedule`.

    The first scales of `trained` have their own positions and levels. In any other schedule, each scale takes
    the positions and the level of a trained scale, the positions resized to its grid: of the same scale if
    there are as many, or else of the one that is nearest in log area. Where the first step has another number
    of tokens, each starts at the mean of the learned ones. Without positions (RoPE) there are levels alone.

    Returns:
        [1, L, C], L of `schedule`.

    Raises:
        VartkError: one of the schedules is in raster order, and the other one is not.
    """
    if schedule.raster != trained.raster:
        ways = {False: "whole scales", True: "one code after another (raster order)"}
        raise VartkError(
            f"transformer 'var' has learned to predict {ways[trained.raster]}, not {ways[schedule.raster]}; "
            "leave the schedule out, or train a model with it"
        )
    own = schedule.grids == trained.grids[: len(schedule.grids)]
    if not own and position_1LC is not None:
        _report(trained, schedule)
    if own or len(schedule.grids) == len(trained.grids):
        sources = list(range(len(schedule.grids)))
    else:
        sources = [nearest_scale(trained.scales, grid) for grid in schedule.grids]
    parts = []
    for source, grid in zip(sources, schedule.grids, strict=True):
        if position_1LC is None:
            parts.append(level_KC[source].expand(1, grid[0] * grid[1], -1))
            continue
        begin, end = trained.scales.spans[source]
        part_1nC = _resized(position_1LC[:, begin:end], trained.grids[source], grid)
        parts.append(part_1nC + level_KC[source])
    if schedule.sizes[0] != trained.sizes[0]:
        start_1nC = start_1nC.mean(dim=1, keepdim=True)
    first = schedule.sizes[0]
    parts[:1] = parts[0][:, :first] + start_1nC, parts[0][:, first:]
    return torch.cat(parts, dim=1)


def nearest_scale(trained: Schedule, grid: Grid) -> int:
    """Return which scale is nearest to `grid` in log area; the finer one of a tie."""
    area = grid[0] * grid[1]

    def distance(step: int) -> tuple[float, int]:
        size = trained.sizes[step]
        # the ratio orders as |log area - log size| does, and a tie is exact in it
        return max(area, size) / min(area, size), -step

    return min(range(len(trained)), key=distance)


def _resized(position_1nC: Tensor, source: Grid, grid: Grid) -> Tensor:
    if grid == source:
        return position_1nC
    map_1Chw = position_1nC.transpose(1, 2).unflatten(-1, source)
    return F.interpolate(map_1Chw, size=grid, mode="bicubic").flatten(2).transpose(1, 2)


@functools.cache
def _report(trained: Schedule, schedule: Schedule) -> None:
    """Warn once for a schedule, not at every step of a training or every image."""
    logger.warning(
        "positions were learned for the scales %s; they are interpolated for the scales %s",
        trained,
        schedule,
    )
