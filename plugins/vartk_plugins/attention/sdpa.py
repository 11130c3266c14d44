"""Torch's fused attention: one call under a dense mask, or a call for each segment without one.

The queries of a segment see the same keys, so attention over those keys alone needs no mask, and
fused kernels that take none can serve it. Nothing is computed for hidden keys, and gradients are exact.
On a GPU the launches cost more than the hidden keys. A causal mask is one call, with the kernels' own flag.

Legend: B batch, S and T query and key tokens, H heads, D head dim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from vartk_registry.interfaces import AttentionRequest
from vartk_registry.masks import Span

from .spans import seen

Seen = Tensor | Literal["all", "causal"]
"""Which of its keys each query sees: a mask [S, T], or by name."""

Calls = list[tuple[slice, tuple[Span, ...], Seen]]
"""Queries, the key intervals that they get, and which of those each query sees."""


@dataclass(frozen=True)
class SdpaAttention:
    """`torch.nn.functional.scaled_dot_product_attention`, which picks its kernel by the tensors.

    Args:
        dense: whether to make one call under a dense mask; "auto" does on CUDA, and for neighbourhoods.
    """

    dense: Literal["auto"] | bool

    def unavailable(self) -> str:
        """Return an empty string: it runs wherever torch does."""
        return ""

    def unsupported(self, request: AttentionRequest) -> list[str]:
        """Return no reasons: torch falls back to plain math where no kernel fits."""
        return []

    def prepare(self, request: AttentionRequest) -> Calls:
        """Return the calls to make: one for the whole mask, or one for each segment."""
        mask = request.mask
        whole = slice(0, mask.q_len), ((0, mask.kv_len),)
        if mask.is_full:
            return [(*whole, "all")]
        if mask.is_causal and self.dense is not True:
            return [(*whole, "causal")]
        dense = request.device == "cuda" if self.dense == "auto" else self.dense
        if dense or mask.near is not None:  # the queries of a segment see different keys
            return [(*whole, mask.dense(request.device))]
        return [(rows, spans, "all") for rows, spans in mask.segments()]

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, scale: float, plan: Calls, dropout: float
    ) -> Tensor:
        """Compute attention; q [B, S, H, D], k and v [B, T, H, D], as q."""
        outs = []
        for rows, spans, mask in plan:
            causal, dense = mask == "causal", mask if isinstance(mask, Tensor) else None
            # kernels take [B, H, S, D]; these are views
            q_BHSD = q[:, rows].transpose(1, 2)
            k_BHTD = seen(k, spans, 1).transpose(1, 2)
            v_BHTD = seen(v, spans, 1).transpose(1, 2)
            out_BHSD = scaled_dot_product_attention(
                q_BHSD, k_BHTD, v_BHTD, attn_mask=dense, is_causal=causal, dropout_p=dropout, scale=scale
            )
            outs.append(out_BHSD.transpose(1, 2))
        return outs[0] if len(outs) == 1 else torch.cat(outs, dim=1)
