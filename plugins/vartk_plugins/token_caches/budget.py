"""Budgets in tokens."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry.caches import AllScales
from vartk_registry.interfaces import CachePlan


@dataclass(frozen=True, kw_only=True)
class Budgeted(AllScales):
    """A strategy that keeps a share of the schedule's tokens, or a number of them.

    Args:
        budget: a share.
        tokens: a number, in the place of `budget`.
    """

    budget: float
    tokens: int | None

    @property
    def lossless(self) -> bool:
        """True if everything is kept on any schedule. Many tokens may still cover a small schedule."""
        return self.budget == 1 and self.tokens is None

    def room(self, plan: CachePlan) -> int:
        """Return the budget in tokens, at least one."""
        return self.tokens or max(1, int(self.budget * plan.schedule.total))


def needed(plan: CachePlan) -> int:
    """Return the number of tokens that the last scale would see of the scales before."""
    return plan.schedule.spans[-1][0]


def divided(room: int, large: int, small: int, ratio: float, most: int) -> tuple[int, int]:
    """Return a large and a small budget, the small one `ratio` of the large one, of the mean `room`.

    There are `large` and `small` of them, one at least. What the large ones could not use, past `most`
    tokens, goes to the small ones. Each has one token at least.
    """
    total = room * (large + small)
    share = min(most, total / (large + ratio * small))
    rest = (total - large * share) / small if small else 0
    return max(1, int(share)), max(1, int(rest))
