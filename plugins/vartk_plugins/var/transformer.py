"""VAR's transformer: predicts the codes of every step from the steps before, scales or single tokens.

Legend: B batch, N tokens of a text, C width.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from vartk_registry import Unsupported
from vartk_registry.interfaces import Condition

from .init import initialise
from .network import VarNetwork
from .passes import ScaleTransformer
from .reading import mask_of


class VarTransformer(VarNetwork, ScaleTransformer):
    """The transformer of "Visual Autoregressive Modeling" (arXiv 2404.02905).

    The first step's tokens are the condition itself, which also modulates each block (AdaLN). With a
    schedule in raster order it is the classic next-token model: the same weights under a causal mask. With
    `cross_attention` the blocks read the tokens of a text, too.

    Args:
        gain_init, checkpointing: fields of `VarConfig`.
        network: the arguments of `VarNetwork`.
    """

    def __init__(self, *, gain_init: float, checkpointing: bool, **network: Any) -> None:
        super().__init__(**network)
        self.checkpointing = checkpointing
        places = self.start_position, self.position
        initialise(self, gain_init, places, (self.head, self.patch_head))
        if self.reads:
            # a gate for each channel would need some hundred times as many steps to open
            for block in self.blocks:
                nn.init.zeros_(block.cross.proj.weight)

    def conditioned(self, condition: Condition) -> tuple[Tensor, Any]:
        """Return the condition's vector [B, C], and what the blocks' `prepare` takes.

        Raises:
            Unsupported: the condition has tokens and nothing reads them, or it lacks them.
        """
        vector_BC, tokens_BNC = condition.vector, condition.tokens
        modulating = self.block_condition(vector_BC)
        if not self.reads:
            if tokens_BNC is not None:
                raise Unsupported(
                    "transformer 'var' is conditioned on one vector a sample, and the condition has a "
                    "sequence of tokens, too; take transformer.cross_attention=true, which reads them, or "
                    "conditioner.tokens=false"
                )
            return vector_BC, modulating
        if tokens_BNC is None:
            raise Unsupported(
                "transformer 'var' with cross_attention=true reads the tokens of a text, and the condition "
                "has none; take conditioner=text with tokens=true, or transformer.cross_attention=false"
            )
        return vector_BC, (modulating, tokens_BNC, mask_of(condition))

    def no_weight_decay(self) -> set[str]:
        """Return the weights, beside the 1-D ones, that the recipe does not decay (timm's hook)."""
        ends = ("position", "level.weight", "modulation_offset")
        return {name for name, _ in self.named_parameters() if name.endswith(ends)}
