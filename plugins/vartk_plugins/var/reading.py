"""Blocks that read a text: the tokens of the image attend to each other, then to those of the text.

Legend: B batch, N tokens of the text, S tokens of the image, C width, H heads, D head dim; the 6 of a
modulation are the gains, scales and shifts of both sub-layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vartk_registry.interfaces import Condition

from .blocks import Around, Block


class TextBlock(Block):
    """VAR's block with cross-attention to a text between its two sub-layers.

    Args:
        block: the arguments of `Block`.
    """

    def __init__(self, width: int, heads: int, hidden: int, **block: Any) -> None:
        super().__init__(width, heads, hidden, **block)
        self.cross_norm = nn.LayerNorm(width, eps=self.norm_eps)
        self.cross = CrossAttention(width, heads)

    def prepare(self, condition: tuple[Tensor, Tensor, Tensor | None]) -> tuple[Tensor | None, ...]:
        """Return the modulation, the text's keys and values, and its mask.

        `condition` is what `modulate` takes, the text [B, N, C] and its mask [B, 1, 1, N].
        """
        modulating, text_BNC, mask_B11N = condition
        keys_values = heads_of(self.cross.kv(text_BNC), self.cross.heads)
        return self.modulate(modulating), *keys_values, mask_B11N

    def read(self, x_BSC: Tensor, context: Sequence[Tensor | None], around: Around) -> Tensor:
        """Return the tokens after they have read the text."""

        def cross(x_BSC: Tensor) -> Tensor:
            return self.cross(self.cross_norm(x_BSC), *context)

        return x_BSC + around("cross_attention", x_BSC, cross)


class CrossAttention(nn.Module):
    """Attention of the image's tokens to those of the text, scaled by 1/sqrt(D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x_BSC: Tensor, k_BHND: Tensor, v_BHND: Tensor, mask_B11N: Tensor | None) -> Tensor:
        """Return the output [B, S, C] for keys and values of `heads_of`."""
        q_BHSD = self.q(x_BSC).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        out_BHSD = F.scaled_dot_product_attention(q_BHSD, k_BHND, v_BHND, attn_mask=mask_B11N)
        return self.proj(out_BHSD.transpose(1, 2).flatten(2))


def heads_of(kv_BN2C: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """Return keys and values by head, [B, H, N, D] each."""
    k_BHND, v_BHND = kv_BN2C.unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
    return k_BHND, v_BHND


def mask_of(condition: Condition) -> Tensor | None:
    """Return which tokens are of each text, [B, 1, 1, N], or what is added to their logits; None: all are."""
    if condition.weights is not None:
        return condition.weights.log()[:, None, None]
    if condition.lengths is None:
        return None
    places_N = torch.arange(condition.tokens.shape[1], device=condition.lengths.device)
    return (places_N < condition.lengths[:, None])[:, None, None]
