"""Attention as batched matrix products in bfloat16, for CPUs that have them.

torch's fused attention is no faster in bfloat16 than in float32 on a CPU, and matrix products are twice as
fast. Scores and weights are rounded to bfloat16 on the way; the weights stay in memory for the backward pass.

Legend: B batch, S and T query and key tokens, H heads, D head dim.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vartk_registry.interfaces import AttentionRequest
from vartk_registry.masks import Span
from vartk_registry.precision import cpu_multiplies

from .spans import seen

Calls = list[tuple[slice, tuple[Span, ...], Tensor | None]]
"""Queries, the intervals of the keys that they get, and which of those each query does not see [S, T]."""


@dataclass(frozen=True)
class MatmulAttention:
    """Two products and a softmax for each segment of queries, on the keys that it sees.

    A causal mask and one of neighbourhoods are one call: a segment for each query would be one small product
    after another.
    """

    def unavailable(self) -> str:
        """Return why it cannot be used on this machine: the processor must have bfloat16 products."""
        if cpu_multiplies(torch.bfloat16):
            return ""
        return "torch has no bfloat16 matrix products for this processor"

    def unsupported(self, request: AttentionRequest) -> list[str]:
        """Return why a request is not served: it is for bfloat16 on a CPU."""
        reasons = []
        if request.device != "cpu":
            reasons.append(f"it serves cpu, not {request.device}")
        if request.dtype != "bfloat16":
            reasons.append(f"it takes bfloat16, not {request.dtype}")
        return reasons

    def prepare(self, request: AttentionRequest) -> Calls:
        """Return the segments of the mask, or the whole of one that has a segment for each query."""
        mask = request.mask
        if mask.is_causal or mask.near is not None:
            return [(slice(0, mask.q_len), ((0, mask.kv_len),), ~mask.dense(request.device))]
        return [(rows, spans, None) for rows, spans in mask.segments()]

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, scale: float, plan: Calls, dropout: float
    ) -> Tensor:
        """Compute attention; q [B, S, H, D], k and v [B, T, H, D], as q."""
        # products take [B, H, tokens, D]; contiguous ones are read once for all segments
        q_BHSD, k_BHTD, v_BHTD = (x.transpose(1, 2).contiguous() for x in (q * scale, k, v))
        outs = []
        with torch.autocast(q.device.type, enabled=False):  # which would have the softmax in fp32
            for rows, spans, hidden_ST in plan:
                scores_BHST = q_BHSD[:, :, rows] @ seen(k_BHTD, spans, 2).transpose(2, 3)
                if hidden_ST is not None:
                    scores_BHST = scores_BHST.masked_fill(hidden_ST, -torch.inf)
                weights_BHST = F.dropout(scores_BHST.softmax(dim=-1), dropout)
                outs.append(weights_BHST @ seen(v_BHTD, spans, 2))
        return torch.cat(outs, dim=2).transpose(1, 2)
