"""What the strategies that prune tokens share: how much at each scale, in which layers, and the keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from vartk_registry import VartkError
from vartk_registry.interfaces import CachePlan, Schedule, Seam


@dataclass(frozen=True)
class Pruning:
    """A strategy that does not compute a share of the tokens of each of the last scales.

    Args:
        first, last: indices of layers; negative ones count from the end.
        depth: in their place, two points from 0 to 1 of the model's depth.
        ratios: shares of the tokens, of the last scales.
        starts: in the place of "the last scales": for each ratio the point step / (steps - 1) from which
            it holds.

    Raises:
        VartkError: the parameters contradict each other.
    """

    first: int
    last: int
    depth: list[float] | None
    ratios: list[float]
    starts: list[float] | None

    name: ClassVar[str]
    seams: ClassVar[frozenset[Seam]] = frozenset(("tokens", "scales"))

    def __post_init__(self) -> None:
        if self.starts is not None and len(self.starts) != len(self.ratios):
            raise VartkError(
                f"cache {self.name!r}: {len(self.starts)} starts for {len(self.ratios)} ratios; give a start "
                "for each ratio"
            )
        if any(a >= b for a, b in pairwise(self.starts or [])):
            raise VartkError(f"cache {self.name!r}: starts={self.starts} must grow, as in [0.6, 0.8]")
        if any(a == 1 > b for a, b in pairwise(self.ratios)):
            raise VartkError(
                f"cache {self.name!r}: ratios={self.ratios} skips a scale (1) before one that is generated; "
                "only the last scales can be skipped"
            )
        if self.depth is not None and len(self.depth) != 2:
            raise VartkError(f"cache {self.name!r}: depth={self.depth} must be two points, as in [0.1, 0.85]")

    @property
    def lossless(self) -> bool:
        """Whether every token of every scale is computed."""
        return not any(self.ratios)

    def steps(self, schedule: Schedule) -> int:
        """Return the number of scales before those with a ratio of 1."""
        return sum(ratio < 1 for ratio in self.by_scale(len(schedule)))

    def by_scale(self, steps: int) -> list[float]:
        """Return the ratio of each of `steps` scales.

        Raises:
            VartkError: no scale is left that is computed in full.
        """
        if self.starts is None:
            by_scale = [0.0] * (steps - len(self.ratios)) + self.ratios
        else:
            held = [(0.0, 0.0), *zip(self.starts, self.ratios, strict=True)]
            points = [step / (steps - 1) if steps > 1 else 0.0 for step in range(steps)]
            by_scale = [[ratio for start, ratio in held if start <= point][-1] for point in points]
        if len(by_scale) > steps or by_scale[0]:
            raise VartkError(
                f"cache {self.name!r}: ratios={self.ratios} leave none of the {steps} scales to compute in "
                f"full; give at most {steps - 1}"
            )
        return by_scale

    def layers(self, count: int) -> range:
        """Return the pruned layers of a model of `count`.

        Raises:
            VartkError: there is no such layer, or the last one comes before the first.
        """
        if self.depth is None:
            first, last = (index + count if index < 0 else index for index in (self.first, self.last))
        else:
            first, last = (round(point * (count - 1)) for point in self.depth)
        if not 0 <= first <= last < count:
            asked = f"depth={self.depth}" if self.depth else f"first={self.first}, last={self.last}"
            raise VartkError(
                f"cache {self.name!r}: {asked} are no layers of this model; they are 0 to {count - 1}, and "
                "the last one cannot come before the first"
            )
        return range(first, last + 1)


def kept_tokens(plan: CachePlan, layers: range, kept: Sequence[int]) -> list[int]:
    """Return how many tokens of a generation each layer computes, where `layers` compute `kept` a scale."""
    whole = sum(plan.schedule.sizes[: len(kept)])
    return [sum(kept) if layer in layers else whole for layer in range(plan.layers)]
