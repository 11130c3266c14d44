"""Numbers of a generation's steps, by scale."""

from __future__ import annotations

from collections.abc import Sequence

from vartk_registry.interfaces import Schedule


def scale_sums(steps: Sequence[float], schedule: Schedule) -> list[float]:
    """Return the sum of a number over the steps of each scale; steps that were not generated have none."""
    sums: list[float] = [0] * len(schedule.grids)
    levels = schedule.levels
    for number, (start, _) in zip(steps, schedule.spans, strict=False):
        sums[levels[start]] += number
    return sums
