"""Categorical sampling.

Legend: B batch, n tokens of the scale, V classes; the shape of a code stands before V.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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

    def filtered(self, logits_BnV: torch.Tensor, step: int, steps: int) -> torch.Tensor:
        """Return what is drawn from: float32 logits of the same shape, -inf where never drawn."""
        tempered_BnV = logits_BnV.float() / self._temperature(step, steps)
        return filtered(tempered_BnV, top_k=self.top_k, top_p=self.top_p)

    def __call__(self, logits_BnV: torch.Tensor, step: int, steps: int, random: Randomness) -> Draw:
        """Draw the codes [B, n, *shape] of logits [B, n, *shape, V]."""
        return Draw(random.categorical(self.filtered(logits_BnV, step, steps).softmax(dim=-1)))

    def _temperature(self, step: int, steps: int) -> float:
        """Return the temperature of a scale, on the geometric course from the first scale's to the last's."""
        if self.final_temperature is None or steps == 1:
            return self.temperature
        return self.temperature * (self.final_temperature / self.temperature) ** (step / (steps - 1))
