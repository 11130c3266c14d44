"""Schedules: the grids an image is made of, coarse to fine, and the steps in which it is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log
from typing import Protocol, runtime_checkable

from ..errors import VartkError

Grid = tuple[int, int]
"""Height and width, in cells of the latent map."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The grids of an image's scales, and the steps in which a transformer predicts their tokens.

    The tokens of all scales form one sequence, each scale row by row. A step is a group of consecutive
    tokens that are predicted at once: a whole scale (VAR), or a single token (raster order, the classic
    next-token model). A tokenizer works by scale. It only ever gets schedules whose steps are scales.

    Attributes:
        grids: of the scales, coarse to fine; the last one is the latent grid. They need not be square.
        reference: the grid on which 2-D RoPE measures the positions of all scales; None for the last one. It
            can be finer, so that a small image has the positions of a large one.
        raster: whether each token is a step of its own.
    """

    grids: tuple[Grid, ...]
    reference: Grid | None = None
    raster: bool = False

    def __post_init__(self) -> None:
        if not self.grids:
            raise VartkError("a schedule needs at least one grid")
        for h, w in (*self.grids, *([self.reference] if self.reference else [])):
            if h < 1 or w < 1:
                raise VartkError(f"grid {h}x{w} is empty; both sides must be at least 1")

    @classmethod
    def of(cls, sides: Iterable[int | Iterable[int]]) -> Schedule:
        """Make a schedule from sides of squares or (h, w) pairs, mixed as you like."""
        grids = []
        for side in sides:
            h, w = (side, side) if isinstance(side, int) else tuple(side)
            grids.append((h, w))
        return cls(tuple(grids))

    def __len__(self) -> int:
        """Return the number of steps."""
        return self.total if self.raster else len(self.grids)

    def __str__(self) -> str:
        grids = ", ".join(str(h) if h == w else f"{h}x{w}" for h, w in self.grids)
        return f"{grids} in raster order" if self.raster else grids

    @property
    def scales(self) -> Schedule:
        """The same grids with a step a scale: this schedule itself, unless it is in raster order."""
        return Schedule(self.grids, self.reference) if self.raster else self

    @property
    def shapes(self) -> tuple[Grid, ...]:
        """The height and width of each step's tokens: a scale's grid, or 1x1."""
        return ((1, 1),) * self.total if self.raster else self.grids

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of tokens of each step."""
        return tuple(h * w for h, w in self.shapes)

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The interval [start, stop) of each step in the sequence."""
        stops = list(accumulate(self.sizes))
        return tuple(zip([0, *stops[:-1]], stops, strict=True))

    @property
    def total(self) -> int:
        """The number of tokens of all scales."""
        return sum(h * w for h, w in self.grids)

    @property
    def latent(self) -> Grid:
        """The last, finest grid."""
        return self.grids[-1]

    @property
    def levels(self) -> list[int]:
        """The scale that each token of the sequence belongs to."""
        return [scale for scale, (h, w) in enumerate(self.grids) for _ in range(h * w)]

    def resized(self, latent: Grid) -> Schedule:
        """Return as many scales for another latent grid, in the same steps or raster order.

        A side s of a latent of side S becomes T ** (log s / log S) for side T, rounded. So a side of 1 stays
        1, the grids take on the latent's ratio step by step, and if the latent has as many cells as before,
        each scale has about as many as before, too. If all sides above 1 are even, as patches of 2x2 need
        it, they stay even. The reference grid grows with the latent.
        """
        heights, widths = (
            _resized([grid[axis] for grid in self.grids], side) for axis, side in enumerate(latent)
        )
        reference = None
        if self.reference is not None:
            h, w = (
                max(1, round(side * new / old))
                for side, new, old in zip(self.reference, latent, self.latent, strict=True)
            )
            reference = h, w
        return Schedule(tuple(zip(heights, widths, strict=True)), reference, self.raster)


def _resized(sides: list[int], last: int) -> list[int]:
    """Return the sides of all scales along one axis, so that they end at `last`; see `Schedule.resized`."""
    if sides[-1] == last:
        return sides
    even = all(side == 1 or side % 2 == 0 for side in sides)
    made = [1]
    for side in sides:
        exponent = log(side) / log(sides[-1]) if sides[-1] > 1 else 0.0
        step = 2 if even and side > 1 else 1
        near = step * int(last**exponent / step + 0.5)
        made.append(min(last, max(made[-1], near)))
    return [*made[1:-1], last]


@runtime_checkable
class ScheduleFactory(Protocol):
    """Component kind `schedule`: makes the schedule for a latent grid."""

    def __call__(self, latent: Grid) -> Schedule:
        """Return a schedule for images whose latent map is `latent`, (h, w).

        A fixed list may ignore `latent`; the caller checks that the schedule ends there. Raises
        `VartkError` where no schedule with these parameters fits.
        """
        ...


@runtime_checkable
class LimitedSchedules(ScheduleFactory, Protocol):
    """A schedule factory that ends at some grids alone, and whose schedules are not to be resized."""

    def latents(self) -> Sequence[Grid]:
        """Return the latent grids at which its schedules end."""
        ...
