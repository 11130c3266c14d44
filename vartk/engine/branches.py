"""Which branches of guidance a generation computes, and where one of them stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vartk_registry.interfaces import CacheStrategy, Guidance, Schedule, UnconditionalStrategy


@dataclass(frozen=True, slots=True)
class Branches:
    """The two branches of guidance: both run at the first steps, and one of them goes on alone.

    Attributes:
        weights: the strength of guidance at each step that is generated; -1 for the null logits alone.
        both: the number of steps, from the first, at which both branches run. A step that uses one alone
            still needs the other where a later step uses it: its keys are attended to.
        null_goes_on: whether the null branch is the one that goes on, and not the conditional one.
    """

    weights: Sequence[float]
    both: int
    null_goes_on: bool

    @classmethod
    def of(cls, guidance: Guidance, cache: CacheStrategy, schedule: Schedule, drafted: int = 0) -> Branches:
        """Return the branches of a generation.

        Args:
            drafted: how many steps, from the first, another transformer draws.
        """
        weights = [guidance.weight(step, len(schedule)) for step in range(cache.steps(schedule))]
        if any(weights) and isinstance(cache, UnconditionalStrategy):
            last = slice(cache.unconditional_from(schedule), None)
            weights[last] = [-1.0] * len(weights[last])
        to_draw = range(drafted, len(weights))
        conditional = max((step for step in to_draw if weights[step] != -1), default=-1)
        null = max((step for step in to_draw if weights[step] != 0), default=-1)
        return cls(weights, min(conditional, null) + 1, null > conditional)
