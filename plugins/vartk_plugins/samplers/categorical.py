"""Categorical sampling.

Legend: B batch, n tokens of the scale, V classes; the shape of a code stands before V.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vartk_registry.interfaces import Draw, Randomness

from .filter import top_k_filtered, top_p_filtered

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Categorical:
    """Draws each code from the softmax of the logits, after temperature, top-k and top-p."""

    top_k: int
    top_p: float
    temperature: float

    def filtered(self, logits_BnV: torch.Tensor) -> torch.Tensor:
        """Return what is drawn from: float32 logits of the same shape, -inf where never drawn."""
        tempered_BnV = logits_BnV.float() / self.temperature
        return top_p_filtered(top_k_filtered(tempered_BnV, self.top_k), self.top_p)

    def __call__(self, logits_BnV: torch.Tensor, step: int, steps: int, random: Randomness) -> Draw:
        """Draw the codes [B, n, *shape] of logits [B, n, *shape, V]."""
        return Draw(random.categorical(self.filtered(logits_BnV).softmax(dim=-1)))
