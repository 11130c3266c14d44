"""The schedule `my-name`."""

import math
from dataclasses import dataclass

from vartk_registry.interfaces import Grid, Schedule


@dataclass(frozen=True)
class MyComponent:
    """Both sides of a scale are those of the next finer one, divided by `ratio` and rounded down."""

    ratio: float

    def __call__(self, latent: Grid) -> Schedule:
        """Return the schedule for a latent grid (h, w)."""
        grids = [latent]
        while max(grids[0]) > 1:
            h, w = (max(1, math.floor(side / self.ratio)) for side in grids[0])
            grids.insert(0, (h, w))
        return Schedule(tuple(grids))
