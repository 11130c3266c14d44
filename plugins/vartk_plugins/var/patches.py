"""Squares of codes as one token: a shorter sequence, the same codes (patches, as in DiT, arXiv 2212.09748).

Legend: B batch, n tokens of a scale, m of them after packing, p the side of a square, D width.
"""

from __future__ import annotations

from torch import Tensor

from vartk_registry import VartkError
from vartk_registry.interfaces import Grid, Schedule


def packs(grid: Grid, p: int) -> bool:
    """Return whether squares of side `p` tile a grid; other grids stay as they are."""
    h, w = grid
    return p > 1 and h % p == 0 and w % p == 0


def packed(schedule: Schedule, p: int) -> Schedule:
    """Return the grids of squares that the transformer sees.

    Raises:
        VartkError: the schedule is in raster order, where codes are predicted one after another.
    """
    if schedule.raster and p > 1:
        raise VartkError(
            f"transformer 'var': patch={p} predicts {p**2} codes at once, but the schedule has a code a step "
            "(raster order); take transformer.patch=1"
        )

    def squares(grid: Grid) -> Grid:
        return (grid[0] // p, grid[1] // p) if packs(grid, p) else grid

    grids = tuple(map(squares, schedule.grids))
    return Schedule(grids, schedule.reference and squares(schedule.reference), schedule.raster)


def pack(x_BnD: Tensor, grid: Grid, p: int) -> Tensor:
    """Put the tokens of each square side by side, row by row: [B, m, p p D]."""
    h, w = grid
    squares = x_BnD.unflatten(1, (h // p, p, w // p, p)).transpose(2, 3)
    return squares.flatten(3).flatten(1, 2)


def unpack(x_BmD: Tensor, grid: Grid, p: int) -> Tensor:
    """Undo `pack`: from [B, m, p p D] to [B, n, D]."""
    h, w = grid
    squares = x_BmD.unflatten(2, (p, p, -1)).unflatten(1, (h // p, w // p))
    return squares.transpose(2, 3).flatten(1, 4)
