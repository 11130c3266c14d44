"""Scale schedules: the grids an image is made of, coarse to fine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol, runtime_checkable

from ..errors import VartkError

Grid = tuple[int, int]
"""Height and width, in cells of the latent map."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The grids of an image's scales, coarse to fine; the last one is the latent grid.

    The tokens of all scales form one sequence, each scale row by row. Grids need not be square.

    Attributes:
        grids: of the scales.
        reference: the grid on which 2-D RoPE measures the positions of all scales; None for the last one. It
            can be finer, so that a small image has the positions of a large one.
    """

    grids: tuple[Grid, ...]
    reference: Grid | None = None

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
        """Return the number of scales."""
        return len(self.grids)

    def __str__(self) -> str:
        return ", ".join(str(h) if h == w else f"{h}x{w}" for h, w in self.grids)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of tokens of each scale."""
        return tuple(h * w for h, w in self.grids)

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The interval [start, stop) of each scale in the sequence."""
        stops = list(accumulate(self.sizes))
        return tuple(zip([0, *stops[:-1]], stops, strict=True))

    @property
    def total(self) -> int:
        """The number of tokens of all scales."""
        return sum(self.sizes)

    @property
    def latent(self) -> Grid:
        """The last, finest grid."""
        return self.grids[-1]

    @property
    def levels(self) -> list[int]:
        """The scale that each token of the sequence belongs to."""
        return [step for step, size in enumerate(self.sizes) for _ in range(size)]


@runtime_checkable
class ScheduleFactory(Protocol):
    """Component kind `schedule`: makes the schedule for a latent grid."""

    def __call__(self, latent: Grid) -> Schedule:
        """Return a schedule for images whose latent map is `latent`, (h, w).

        A fixed list may ignore `latent`; the caller checks that the schedule ends there. Raises
        `VartkError` where no schedule with these parameters fits.
        """
        ...
