"""VAR's smooth sampling.

Legend: B batch, n tokens of the scale, V classes; the shape of a code stands before V.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vartk_registry.interfaces import Draw, Randomness

from .categorical import Categorical

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class GumbelSmooth(Categorical):
    """Draws codes as `Categorical`, and soft weights over all codes by a Gumbel softmax.

    The weights sharpen from scale to scale (`more_smooth` of the original VAR): nicer pictures, not
    samples of the model, so not for measuring FID. The codes are drawn first, although the weights
    replace them, for the random stream to be the original's.
    """

    def __call__(self, logits_BnV: torch.Tensor, step: int, steps: int, random: Randomness) -> Draw:
        """Draw codes [B, n, *shape] and weights [B, n, *shape, V], which sum to 1 over V."""
        filtered_BnV = self.filtered(logits_BnV, step, steps)
        codes = random.categorical(filtered_BnV.softmax(dim=-1))
        ratio = step / (steps - 1) if steps > 1 else 1.0
        tau = max(0.27 * (1 - 0.95 * ratio), 0.005)
        gumbel_BnV = -random.exponential(filtered_BnV).log()
        weights_BnV = ((filtered_BnV * (1 + ratio) + gumbel_BnV) / tau).softmax(dim=-1)
        return Draw(codes, weights_BnV)
