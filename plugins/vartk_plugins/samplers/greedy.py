"""Greedy sampling.

Legend: B batch, n tokens of the scale, V classes; the shape of a code stands before V.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vartk_registry.interfaces import Draw, Randomness

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Greedy:
    """Takes the most likely code, the first one of equals."""

    def __call__(self, logits_BnV: torch.Tensor, step: int, steps: int, random: Randomness) -> Draw:
        """Return the codes [B, n, *shape] of logits [B, n, *shape, V]."""
        return Draw(logits_BnV.argmax(dim=-1))
