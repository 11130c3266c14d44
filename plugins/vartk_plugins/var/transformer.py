"""VAR's transformer: predicts the codes of every step from the steps before, scales or single tokens.

Legend: B batch, C width.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from vartk_registry import Unsupported
from vartk_registry.interfaces import Condition

from .init import initialise
from .network import VarNetwork
from .passes import ScaleTransformer


class VarTransformer(VarNetwork, ScaleTransformer):
    """The transformer of "Visual Autoregressive Modeling" (arXiv 2404.02905).

    The first step's tokens are the condition itself, which also modulates each block (AdaLN). With a
    schedule in raster order it is the classic next-token model: the same weights under a causal mask.

    Args:
        gain_init, checkpointing: fields of `VarConfig`.
        network: the arguments of `VarNetwork`.
    """

    def __init__(self, *, gain_init: float, checkpointing: bool, **network: Any) -> None:
        super().__init__(**network)
        self.checkpointing = checkpointing
        places = self.start_position, self.position
        initialise(self, gain_init, places, (self.head, self.patch_head))

    def conditioned(self, condition: Condition) -> tuple[Tensor, Tensor]:
        """Return the condition's vector [B, C], and what `Block.prepare` takes; tokens are refused."""
        vector_BC = _vector(condition)
        return vector_BC, self.block_condition(vector_BC)

    def no_weight_decay(self) -> set[str]:
        """Return the weights, beside the 1-D ones, that the recipe does not decay (timm's hook)."""
        ends = ("position", "level.weight", "modulation_offset")
        return {name for name, _ in self.named_parameters() if name.endswith(ends)}


def _vector(condition: Condition) -> Tensor:
    if condition.tokens is not None:
        raise Unsupported(
            "transformer 'var' is conditioned on one vector a sample and has no place for a "
            "sequence of tokens; take conditioner=class, or a transformer that reads tokens"
        )
    return condition.vector
