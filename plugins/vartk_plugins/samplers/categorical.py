"""Categorical sampling.

Legend: B batch, n tokens of the scale, V classes; the shape of a code stands before V.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vartk_registry import VartkError
from vartk_registry.interfaces import Draw, Randomness

from .filter import filtered

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Categorical:
    """Draws each code from the softmax of the logits, after temperature, top-k and top-p."""

    top_k: int
    top_p: float
    temperature: float
    final_temperature: float | None
    temperatures: Sequence[float] = ()

    def __post_init__(self) -> None:
        if self.temperatures and self.final_temperature is not None:
            raise VartkError(
                f"sampler: temperatures={list(self.temperatures)} and final_temperature="
                f"{self.final_temperature:g} are two courses of the temperature; give one"
            )

    def filtered(self, logits_BnV: torch.Tensor, step: int, steps: int) -> torch.Tensor:
        """Return what is drawn from: float32 logits of the same shape, -inf where never drawn."""
        tempered_BnV = logits_BnV.float() / self._temperature(step, steps)
        return filtered(tempered_BnV, top_k=self.top_k, top_p=self.top_p)

    def __call__(self, logits_BnV: torch.Tensor, step: int, steps: int, random: Randomness) -> Draw:
        """Draw the codes [B, n, *shape] of logits [B, n, *shape, V]."""
        return Draw(random.categorical(self.filtered(logits_BnV, step, steps).softmax(dim=-1)))

    def _temperature(self, step: int, steps: int) -> float:
        """Return the temperature of a scale: the given one, or on a geometric course from first to last."""
        if self.temperatures:
            return self.temperatures[min(step, len(self.temperatures) - 1)]
        if self.final_temperature is None or steps == 1:
            return self.temperature
        return self.temperature * (self.final_temperature / self.temperature) ** (step / (steps - 1))
