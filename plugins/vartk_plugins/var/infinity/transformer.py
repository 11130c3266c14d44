"""Infinity's transformer: predicts the bits of every scale from the coarser ones and a text.

Legend: B batch, N tokens of the text, C width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vartk_registry import Unsupported
from vartk_registry.interfaces import Condition

from ..init import initialise
from ..passes import ScaleTransformer
from ..reading import mask_of
from .network import InfinityNetwork


class InfinityTransformer(InfinityNetwork, ScaleTransformer):
    """The transformer of "Infinity: Scaling Bitwise AutoRegressive Modeling" (arXiv 2412.04431).

    The text's pooled vector is the first scale's token and modulates each block (AdaLN); each block reads
    the text's tokens by cross-attention.

    Args:
        gain_init, checkpointing: fields of `InfinityConfig`.
        network: the arguments of `InfinityNetwork`.
    """

    def __init__(self, *, gain_init: float, checkpointing: bool, **network: Any) -> None:
        super().__init__(**network)
        self.checkpointing = checkpointing
        places = self.start_position, self.pooling.query
        initialise(self, gain_init, places, (self.head,))

    def conditioned(self, condition: Condition) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor | None]]:
        """Return the pooled text [B, C], and what `TextBlock.prepare` takes."""
        if condition.tokens is None:
            raise Unsupported(
                "transformer 'infinity' reads the tokens of a text, and the condition has none; take "
                "conditioner=text"
            )
        with torch.autocast(condition.tokens.device.type, enabled=False):
            text_BNT = self.text_norm(condition.tokens)
        mask_B11N = mask_of(condition)
        vector_BC = self.pooling(text_BNT, mask_B11N).float()
        shared_B16C = self.shared_modulation(F.silu(vector_BC)).unflatten(-1, (1, 6, -1))
        return vector_BC, (shared_B16C, self.text_embed(text_BNT), mask_B11N)

    def no_weight_decay(self) -> set[str]:
        """Return the weights, beside the 1-D ones, that the recipe does not decay (timm's hook)."""
        ends = ("start_position", "level.weight", "modulation_offset", "pooling.query")
        return {name for name, _ in self.named_parameters() if name.endswith(ends)}
