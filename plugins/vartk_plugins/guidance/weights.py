"""Guidance strengths as functions of the scale, and the mix they all share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vartk_registry import VartkError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class ClassifierFree(ABC):
    """Classifier-free guidance (arXiv 2207.12598); subclasses say how strong it is.

    Args:
        layer: 0 mixes logits, n the hidden states after the n-th block from the end.
    """

    layer: int = 0

    @abstractmethod
    def weight(self, step: int, steps: int) -> float:
        """Return the strength t at scale `step` of `steps`."""

    def mix(self, conditional: torch.Tensor, null: torch.Tensor, weight: float) -> torch.Tensor:
        """Return (1 + t) conditional - t null, in the shape of both."""
        return (1 + weight) * conditional - weight * null


@dataclass(frozen=True)
class Linear(ClassifierFree):
    """From 0 at the first scale to `scale` at the last (arXiv 2404.02905), and 0 after `stop`."""

    scale: float
    stop: float

    def weight(self, step: int, steps: int) -> float:
        """Return scale * step / (steps - 1) where step / (steps - 1) is at most `stop`, else 0."""
        progress = _progress(step, steps)
        return self.scale * progress if progress <= self.stop else 0.0


@dataclass(frozen=True)
class Constant(ClassifierFree):
    """The same strength at every scale up to `stop`, and 0 after it."""

    scale: float
    stop: float

    def weight(self, step: int, steps: int) -> float:
        """Return the scale where step / (steps - 1) is at most `stop`, else 0."""
        return self.scale if _progress(step, steps) <= self.stop else 0.0


@dataclass(frozen=True)
class Interval(ClassifierFree):
    """`scale` from `start` to `stop`, both included, and 0 outside (arXiv 2404.07724).

    Raises:
        VartkError: the interval is empty.
    """

    scale: float
    start: float
    stop: float

    def __post_init__(self) -> None:
        if self.start > self.stop:
            raise VartkError(
                f"guidance 'interval': start={self.start} lies after stop={self.stop}, so nothing "
                "would be guided; swap them, or use scale=0 for no guidance"
            )

    def weight(self, step: int, steps: int) -> float:
        """Return the scale where step / (steps - 1) lies in the interval, else 0."""
        return self.scale if self.start <= _progress(step, steps) <= self.stop else 0.0


@dataclass(frozen=True)
class PerScale(ClassifierFree):
    """A strength for each scale; the last one holds for all that follow.

    Raises:
        VartkError: there is none, or one is negative.
    """

    scales: list[float]

    def __post_init__(self) -> None:
        if not self.scales or min(self.scales) < 0:
            raise VartkError(
                f"guidance 'per_scale': scales={self.scales} must hold numbers from 0 on, as in [1,2,3]"
            )

    def weight(self, step: int, steps: int) -> float:
        """Return the strength at scale `step`."""
        return self.scales[min(step, len(self.scales) - 1)]


def _progress(step: int, steps: int) -> float:
    """Return how far the scale is, from 0 to 1; an only scale is the last one."""
    return step / (steps - 1) if steps > 1 else 1.0
