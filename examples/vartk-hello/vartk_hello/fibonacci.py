"""The schedule `fibonacci`."""

from __future__ import annotations

from collections.abc import Callable

from vartk_registry.interfaces import Grid, Schedule


def fibonacci() -> Callable[[Grid], Schedule]:
    """Return the factory of schedules whose longest side runs 1, 2, 3, 5, 8, ... to the latent's."""
    return _schedule


def _schedule(latent: Grid) -> Schedule:
    """Return the schedule for a latent grid (h, w); the shorter side keeps the latent's proportions."""
    longest = max(latent)
    sides, following = [1], 2
    while following < longest:
        sides, following = [*sides, following], following + sides[-1]
    coarse = [tuple(max(1, round(side * length / longest)) for length in latent) for side in sides]
    return Schedule.of([*coarse, latent] if longest > 1 else [latent])
