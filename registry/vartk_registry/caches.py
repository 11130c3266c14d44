"""What cache strategies have in common: those that compute every token, and those that measure.

Legend: B batch, n tokens of one scale, T of all so far, H heads, D head dim, C width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from .interfaces import CachePlan, CacheState, Schedule


class AllScales:
    """A `CacheStrategy` with which every scale is generated."""

    def steps(self, schedule: Schedule) -> int:
        """Return the number of scales."""
        return len(schedule)


class AllTokens:
    """A `CacheState` with which every token is computed."""

    def select(self, layer: int, branch: str, step: int, x: torch.Tensor) -> None:
        """Return None: all tokens are computed."""

    def restore(
        self, layer: int, branch: str, step: int, out: torch.Tensor, kept: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the sub-layer's output as it is."""
        return out


class Measuring(AllScales, ABC):
    """A `Calibration` that keeps every key and value; subclasses say what is measured."""

    lossless = True

    def start(self, plan: CachePlan) -> CacheState:
        """Return the state of a generation that is measured."""
        return _MeasuredState(plan, self)

    @abstractmethod
    def measure(self, plan: CachePlan, layer: int, step: int, q: torch.Tensor, k: torch.Tensor) -> None:
        """Take in a scale's queries q [B, n, H, D] and all keys k [B, T, H, D], its own last."""

    def measure_tokens(self, plan: CachePlan, layer: int, step: int, x: torch.Tensor) -> None:
        """Take in the tokens [B, n, C] that enter a block; nothing is measured unless a subclass does."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Return the calibrated strategy's parameters."""


class _MeasuredState(AllTokens):
    def __init__(self, plan: CachePlan, measuring: Measuring) -> None:
        self._plan = plan
        self._measuring = measuring
        self._held: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def append(
        self, layer: int, step: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        if layer in self._held:
            held_k, held_v = self._held[layer]
            k, v = torch.cat((held_k, k), dim=1), torch.cat((held_v, v), dim=1)
        else:
            k, v = k.clone(), v.clone()
        self._held[layer] = k, v
        self._measuring.measure(self._plan, layer, step, q, k)
        return k, v

    def enter(self, layer: int, step: int, x: torch.Tensor) -> torch.Tensor:
        self._measuring.measure_tokens(self._plan, layer, step, x)
        return x

    def leave(self, layer: int, step: int, x: torch.Tensor) -> torch.Tensor:
        return x

    def narrow(self, batch: int) -> None:
        self._held = {layer: (k[:batch].clone(), v[:batch].clone()) for layer, (k, v) in self._held.items()}

    def nbytes(self) -> int:
        return sum(tensor.nbytes for held in self._held.values() for tensor in held)
