"""The sampler `my-name`.

Legend: B batch, n tokens of a step, V classes; the shape of a code stands before V.
"""

from dataclasses import dataclass

import torch

from vartk_registry.interfaces import Draw, Randomness


@dataclass(frozen=True)
class MyComponent:
    """Draws from the codes that are at least `min_p` times as probable as the most probable one."""

    temperature: float
    min_p: float

    def __call__(self, logits: torch.Tensor, step: int, steps: int, random: Randomness) -> Draw:
        """Draw the codes [B, n, *shape] of logits [B, n, *shape, V]."""
        p_BnV = (logits.float() / self.temperature).softmax(dim=-1)
        allowed_BnV = p_BnV >= self.min_p * p_BnV.amax(dim=-1, keepdim=True)
        kept_BnV = p_BnV * allowed_BnV
        return Draw(random.categorical(kept_BnV / kept_BnV.sum(dim=-1, keepdim=True)))
