"""What is added to each token for its place: learned positions and levels.

Legend: L tokens of all scales, K scales, n0 tokens of the first step, C width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vartk_registry import VartkError
from vartk_registry.interfaces import Grid, Schedule


def lay_out(
    start_1nC: Tensor, position_1LC: Tensor | None, level_KC: Tensor, trained: Schedule, schedule: Schedule
) -> Tensor:
    """Return the sum of start (first step alone), position and level of each token of `schedule`.

    For a schedule other than `trained` they are moved (see `moved`). Without positions (RoPE) there are
    levels alone.

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
    start_1nC, position_1LC, level_KC = moved(start_1nC, position_1LC, level_KC, trained, schedule)
    sizes = schedule.scales.sizes
    parts = [level.expand(1, size, -1) for level, size in zip(level_KC, sizes, strict=True)]
    if position_1LC is not None:
        placed = position_1LC.split(sizes, dim=1)
        parts = [place + level for place, level in zip(placed, parts, strict=True)]
    first = schedule.sizes[0]
    parts[:1] = parts[0][:, :first] + start_1nC, parts[0][:, first:]
    return torch.cat(parts, dim=1)


def moved(
    start_1nC: Tensor, position_1LC: Tensor | None, level_KC: Tensor, trained: Schedule, schedule: Schedule
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return start, position and level for another schedule than the one they were learned for.

    The first scales of `trained` have their own positions and levels. In any other schedule, each scale takes
    the positions and the level of a trained scale, the positions resized to its grid: of the same scale if
    there are as many, or else of the one that is nearest in log area. Where the first step has another number
    of tokens, each starts at the mean of the learned ones.
    """
    if schedule.grids == trained.grids:
        return start_1nC, position_1LC, level_KC
    count = len(schedule.grids)
    if schedule.grids == trained.grids[:count] or count == len(trained.grids):
        sources = list(range(count))
        level_KC = level_KC[:count]
    else:
        sources = [nearest_scale(trained.scales, grid) for grid in schedule.grids]
        level_KC = torch.stack([level_KC[source] for source in sources])
    if position_1LC is not None:
        learned = position_1LC.split(trained.scales.sizes, dim=1)
        position_1LC = torch.cat(
            [
                _resized(learned[source], trained.grids[source], grid)
                for source, grid in zip(sources, schedule.grids, strict=True)
            ],
            dim=1,
        )
    if schedule.sizes[0] != trained.sizes[0]:
        start_1nC = start_1nC.mean(dim=1, keepdim=True).expand(-1, schedule.sizes[0], -1)
    return start_1nC, position_1LC, level_KC


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
