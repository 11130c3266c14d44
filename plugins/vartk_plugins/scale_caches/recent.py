"""The newest scales, with or without the coarsest ones: the baselines of every comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from vartk_registry.caches import AllScales
from vartk_registry.interfaces import CachePlan

from .held import HeldScales


@dataclass(frozen=True)
class Sink(AllScales):
    """A scale sees itself, the `first` coarsest and the `last` newest scales before it.

    The scales take the place that tokens have in StreamingLLM's attention sinks (arXiv 2309.17453).

    Args:
        first, last: in scales.
        share: in the place of `last`, a share of the schedule's scales, rounded up.
    """

    first: int
    last: int
    share: float | None

    @property
    def lossless(self) -> bool:
        """True if everything is kept on any schedule. Many scales may still cover a short schedule."""
        return self.share == 1

    def start(self, plan: CachePlan) -> HeldScales:
        """Return the state for a new generation."""
        last = self.last if self.share is None else math.ceil(self.share * len(plan.schedule))
        return _Recent(plan, self.first, last)


class Window(Sink):
    """A scale sees itself and the `last` scales before it."""

    def __init__(self, last: int, share: float | None) -> None:
        super().__init__(0, last, share)


class _Recent(HeldScales):
    def __init__(self, plan: CachePlan, first: int, last: int) -> None:
        super().__init__(plan)
        self._first = first
        self._recent = last

    def keep(self, layer: int, held: Mapping[int, Tensor], step: int, k: Tensor) -> Sequence[int]:
        return [scale for scale in (*held, step) if scale < self._first or scale > step - self._recent]
