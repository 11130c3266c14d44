"""The last scales are not generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vartk_registry import VartkError
from vartk_registry.caches import AllTokens
from vartk_registry.interfaces import CachePlan, Schedule, Seam

from .keys import AllKeys


@dataclass(frozen=True)
class SkipLast:
    """Ends a generation before its last `scales` scales, which add nothing to the image."""

    scales: int

    seams: ClassVar[frozenset[Seam]] = frozenset(("scales",))

    @property
    def lossless(self) -> bool:
        """Whether no scale is skipped."""
        return self.scales == 0

    def steps(self, schedule: Schedule) -> int:
        """Return the number of scales that are generated.

        Raises:
            VartkError: none would be.
        """
        if self.scales >= len(schedule):
            raise VartkError(
                f"cache 'skip_last': scales={self.scales} leaves none of the {len(schedule)} scales; "
                f"give at most {len(schedule) - 1}"
            )
        return len(schedule) - self.scales

    def start(self, plan: CachePlan) -> SkipLastState:
        """Return the state for a new generation."""
        return SkipLastState(plan, [sum(plan.schedule.sizes[: self.steps(plan.schedule)])] * plan.layers)


class SkipLastState(AllTokens, AllKeys):
    """All tokens and keys of the scales that are generated."""
