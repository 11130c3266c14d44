"""How Infinity reads a text beside its blocks: normalised, and pooled to one vector.

Legend: B batch, N tokens of the text, T their width, C width, H heads, D head dim.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vartk_registry import VartkError

from ..reading import heads_of

NARROW_ABOVE = 4096
"""Models that are wider than this pool with narrower heads."""


class TextNorm(nn.Module):
    """RMSNorm of the text's tokens, in fp32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, text_BNT: Tensor) -> Tensor:
        """Return the normalised tokens, of the same shape."""
        return F.rms_norm(text_BNT.float(), text_BNT.shape[-1:], self.weight, self.eps)


class TextPooling(nn.Module):
    """Attention of one learned query a head to the tokens of a text.

    Raises:
        VartkError: the width is no multiple of the heads, of which there is one for 128 channels of the text.
    """

    def __init__(self, text_width: int, width: int) -> None:
        super().__init__()
        heads = max(1, text_width // (64 if width > NARROW_ABOVE else 128))
        if width % heads:
            raise VartkError(
                f"transformer 'infinity': width={width} is no multiple of the {heads} heads that pool a text "
                f"of text_width={text_width}; take width={width - width % heads + heads}"
            )
        self.heads = heads
        self.query = nn.Parameter(torch.empty(heads, width // heads))
        self.kv = nn.Linear(text_width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, text_BNT: Tensor, mask_B11N: Tensor | None) -> Tensor:
        """Return the pooled vector [B, C]."""
        k_BHND, v_BHND = heads_of(self.kv(text_BNT), self.heads)
        q_BH1D = self.query[:, None].to(k_BHND.dtype).expand(len(text_BNT), -1, -1, -1)
        pooled_BH1D = F.scaled_dot_product_attention(q_BH1D, k_BHND, v_BHND, attn_mask=mask_B11N)
        return self.proj(pooled_BH1D.flatten(1))
