"""H2O: heavy hitters by cumulative attention (arXiv 2306.14048).

Legend: B batch, n tokens of one scale, T of all that are seen, m that are kept, H heads, D head dim.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vartk_registry.interfaces import CachePlan

from .budget import Budgeted, needed
from .held import HeldTokens, highest, taken
from .scores import received


@dataclass(frozen=True, kw_only=True)
class H2o(Budgeted):
    """Keeps the newest tokens and, of the others, those that have received the most attention.

    A token's score is the sum of the attention that the queries of its own scale and of all later ones
    have paid to it. Each head of each sample chooses its own tokens.

    Args:
        recent: the share of the budget that is for the newest tokens; the paper has a half.
    """

    recent: float

    def start(self, plan: CachePlan) -> H2oState:
        """Return the state for a new generation."""
        room = self.room(plan)
        return H2oState(plan, room, round(self.recent * room))


class H2oState(HeldTokens):
    """A generation's tokens and their scores."""

    def __init__(self, plan: CachePlan, room: int, recent: int) -> None:
        super().__init__(plan)
        self._room = room
        self._recent = recent
        self._scores: dict[int, Tensor] = {}  # [B, T, H]

    def choose(self, layer: int, step: int, q: Tensor, k: Tensor) -> Tensor | None:
        """Return the newest tokens and those with the highest scores; nothing is scored in vain."""
        if self._room >= needed(self.plan):
            return None
        score_BTH = received(q, k, self.plan.scale)
        before = self._scores.pop(layer, None)
        if before is not None:
            score_BTH[:, : before.shape[1]] += before
        kept = None
        if score_BTH.shape[1] > self._room:
            priority = score_BTH.clone()
            priority[:, score_BTH.shape[1] - self._recent :] = torch.inf
            kept = highest(priority, self._room)
            score_BTH = taken(score_BTH, kept)
        if step + 1 < self.last:
            self._scores[layer] = score_BTH
        return kept

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples; the memory of the others is freed."""
        super().narrow(batch)
        self._scores = {layer: score[:batch].clone() for layer, score in self._scores.items()}

    def nbytes(self) -> int:
        """Return the bytes of keys, values and scores held now."""
        return super().nbytes() + sum(score.nbytes for score in self._scores.values())
