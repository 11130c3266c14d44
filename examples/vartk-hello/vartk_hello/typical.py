"""The sampler `typical`.

Legend: B batch, n tokens of the scale, V classes; the shape of a code stands before V.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vartk_registry.interfaces import Draw, Randomness


@dataclass(frozen=True)
class Typical:
    """Locally typical sampling (Meister et al. 2022, arXiv 2202.00666).

    The surprise of a code is -log p; its expectation is the entropy of p. The codes whose surprise is
    nearest to the entropy are kept, the fewest whose probabilities sum to at least `mass`, and one of
    them is drawn.
    """

    mass: float

    def kept(self, logits_BnV: torch.Tensor) -> torch.Tensor:
        """Return which codes of logits [..., V] may be drawn, as booleans of the same shape."""
        log_p_BnV = logits_BnV.float().log_softmax(dim=-1)
        p_BnV = log_p_BnV.exp()
        entropy_Bn1 = torch.special.entr(p_BnV).sum(dim=-1, keepdim=True)
        order_BnV = (-log_p_BnV - entropy_Bn1).abs().argsort(dim=-1, stable=True)
        ordered_BnV = p_BnV.gather(-1, order_BnV)
        before_BnV = ordered_BnV.cumsum(dim=-1) - ordered_BnV
        wanted_BnV = before_BnV < self.mass
        return torch.empty_like(wanted_BnV).scatter_(-1, order_BnV, wanted_BnV)

    def __call__(self, logits_BnV: torch.Tensor, step: int, steps: int, random: Randomness) -> Draw:
        """Draw the codes [B, n, *shape] of logits [B, n, *shape, V]."""
        allowed_BnV = logits_BnV.float().masked_fill(~self.kept(logits_BnV), -torch.inf)
        return Draw(random.categorical(allowed_BnV.softmax(dim=-1)))
