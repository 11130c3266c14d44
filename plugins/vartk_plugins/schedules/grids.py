"""The grids of each schedule: fixed lists, halving, and growth along a curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from vartk_registry import VartkError, counted
from vartk_registry.interfaces import Grid, Schedule


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same schedule whatever the latent."""

    schedule: Schedule

    def __call__(self, latent: Grid) -> Schedule:
        """Return the schedule."""
        return self.schedule


@dataclass(frozen=True, slots=True)
class ByAspect:
    """A published schedule of squares, resized for other ratios of a latent of about as many cells."""

    square: Schedule

    def __call__(self, latent: Grid) -> Schedule:
        """Return the schedule; the published one for squares, and for a latent of another area."""
        cells, published = latent[0] * latent[1], self.square.sizes[-1]
        close = 1 / NEAR <= cells / published <= NEAR
        return self.square.resized(latent) if close and latent[0] != latent[1] else self.square


NEAR = 1.25
"""How many times as many cells a latent may have, or as few, to be of about the area of a published one."""

# arXiv 2404.02905; the 1024 px list was published without weights
var_256 = partial(ByAspect, Schedule.of((1, 2, 3, 4, 5, 6, 8, 10, 13, 16)))
var_512 = partial(ByAspect, Schedule.of((1, 2, 3, 4, 6, 9, 13, 18, 24, 32)))
var_1024 = partial(ByAspect, Schedule.of((1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 27, 36, 48, 64)))


def custom(grids: Sequence[Any], reference: Sequence[int] | None) -> Fixed:
    """Return the schedule of a user's list of sides and [height, width] pairs.

    Raises:
        VartkError: an entry is not a grid, or is smaller than the one before it.
    """
    if not grids:
        raise VartkError("schedule 'custom' needs grids, coarse to fine, such as grids=[1,2,4,[8,16]]")
    measured = None if reference is None else _pair("custom", "reference", reference)
    return Fixed(Schedule(_pairs("custom", grids), measured))


def raster(grids: Sequence[Any]) -> Raster:
    """Return the factory of schedules in raster order; errors as `custom`, but no grids are the latent's."""
    return Raster(_pairs("raster", grids))


@dataclass(frozen=True, slots=True)
class Raster:
    """A token a step, row by row: of the latent grid or, where `grids` are given, of one after another."""

    grids: tuple[Grid, ...]

    def __call__(self, latent: Grid) -> Schedule:
        """Return the schedule for a latent grid."""
        return Schedule(self.grids or (latent,), raster=True)


def _pairs(name: str, grids: Sequence[Any]) -> tuple[Grid, ...]:
    """Return the grids of a user's list; errors as `custom`."""
    pairs = [_pair(name, f"grids[{index}]", entry) for index, entry in enumerate(grids)]
    for index, ((h0, w0), (h, w)) in enumerate(pairwise(pairs), start=1):
        if h < h0 or w < w0:
            raise VartkError(
                f"schedule {name!r}: grids[{index}] is {h}x{w}, smaller than the {h0}x{w0} before "
                "it; list the grids coarse to fine"
            )
    return tuple(pairs)


def _pair(name: str, key: str, entry: Any) -> Grid:
    sides = entry if isinstance(entry, (list, tuple)) else (entry, entry)
    # a bool is an int to Python, and `true` in a list of sides is a slip
    if len(sides) != 2 or any(type(side) is not int or side < 1 for side in sides):
        raise VartkError(
            f"schedule {name!r}: {key} is {entry!r}; give a side such as 4 or "
            "[height, width] such as [4, 8], whole numbers from 1"
        )
    return sides[0], sides[1]


@dataclass(frozen=True, slots=True)
class PowersOfFour:
    """The latent halved, rounding up, until it is 1x1."""

    def __call__(self, latent: Grid) -> Schedule:
        """Return the schedule for a latent grid."""
        grids = [latent]
        while grids[0] != (1, 1):
            h, w = grids[0]
            grids.insert(0, ((h + 1) // 2, (w + 1) // 2))
        return Schedule(tuple(grids))


@dataclass(frozen=True, slots=True)
class Geometric:
    """The longest side grows from 1 by a constant factor; see `_grown`."""

    steps: int | None

    def __call__(self, latent: Grid) -> Schedule:
        """Return the schedule for a latent grid; `VartkError` for too many steps."""
        return _grown(latent, self.steps, lambda longest, progress: longest**progress)


@dataclass(frozen=True, slots=True)
class Linear:
    """The longest side grows from 1 by a constant step; see `_grown`."""

    steps: int | None

    def __call__(self, latent: Grid) -> Schedule:
        """Return the schedule for a latent grid; `VartkError` for too many steps."""
        return _grown(latent, self.steps, lambda longest, progress: 1 + (longest - 1) * progress)


def _grown(latent: Grid, steps: int | None, curve: Callable[[int, float], float]) -> Schedule:
    """Return `steps` grids (None: 10, or fewer) whose longest side follows `curve` to the latent's.

    It is rounded, and raised where needed to be one cell longer than before; the other side keeps
    the latent's proportions. A single step is the latent alone.

    Raises:
        VartkError: there are more steps than lengths of the longest side.
    """
    longest = max(latent)
    steps = min(10, longest) if steps is None else steps
    if steps > longest:
        h, w = latent
        raise VartkError(
            f"{counted(steps, 'step')} do not fit a latent of {h}x{w}, where each scale must be "
            f"larger than the one before; use at most {longest}"
        )
    grids: list[Grid] = []
    length = 0
    for step in range(steps):
        progress = step / (steps - 1) if steps > 1 else 1.0
        length = max(_rounded(curve(longest, progress)), length + 1)
        h, w = (max(1, _rounded(length * side / longest)) for side in latent)
        grids.append((h, w))
    return Schedule(tuple(grids))


def _rounded(value: float) -> int:
    """Round to the nearest, halves up (Python's `round` takes 2.5 down and 3.5 up)."""
    return int(value + 0.5)
