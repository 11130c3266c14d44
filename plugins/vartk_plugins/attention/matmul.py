"""Attention as batched matrix products in bfloat16, for CPUs that have them.

torch's fused attention is no faster in bfloat16 than in float32 on a CPU, and matrix products are twice as
fast. Scores and weights are rounded to bfloat16 on the way. Weights stay in memory for a backward pass only.

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

_PIECE = 1 << 20
"""Scores of a piece for each thread: 2 MiB, which a core's cache holds."""

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
        whole = torch.is_grad_enabled() or torch.compiler.is_compiling()  # a compiler unrolls the pieces
        product = _whole if whole else _in_pieces
        with torch.autocast(q.device.type, enabled=False):  # which would have the softmax in fp32
            outs = [
                product(
                    q_BHSD[:, :, rows], seen(k_BHTD, spans, 2), seen(v_BHTD, spans, 2), hidden_ST, dropout
                )
                for rows, spans, hidden_ST in plan
            ]
        return torch.cat(outs, dim=2).transpose(1, 2)


def _whole(q_xSD: Tensor, k_xTD: Tensor, v_xTD: Tensor, hidden_ST: Tensor | None, dropout: float) -> Tensor:
    """Return the attention of queries to all keys, `x` being any dimensions of a batch."""
    scores_xST = q_xSD @ k_xTD.transpose(-2, -1)
    if hidden_ST is not None:
        scores_xST = scores_xST.masked_fill(hidden_ST, -torch.inf)
    return F.dropout(scores_xST.softmax(dim=-1), dropout) @ v_xTD


def _in_pieces(
    q_BHSD: Tensor, k_BHTD: Tensor, v_BHTD: Tensor, hidden_ST: Tensor | None, dropout: float
) -> Tensor:
    """Return the same, for so few heads and queries at a time that their scores stay in the caches.

    The scores of one scale at 1024 pixels would take gigabytes, and most of the time would be spent on moving
    them. A backward pass needs all of them, and would add up gradients of the keys piece by piece.
    """
    queries, keys, piece = q_BHSD.shape[2], k_BHTD.shape[2], _PIECE * torch.get_num_threads()
    rows = min(queries, max(1, piece // keys))
    heads = max(1, piece // (rows * keys))
    out_BHSD = q_BHSD.new_empty(q_BHSD.shape)
    split = (x.flatten(0, 1).split(heads) for x in (q_BHSD, k_BHTD, v_BHTD, out_BHSD))
    for q_NSD, k_NTD, v_NTD, out_NSD in zip(*split, strict=True):
        for start in range(0, queries, rows):
            at = slice(start, start + rows)
            hidden = None if hidden_ST is None else hidden_ST[at]
            out_NSD[:, at] = _whole(q_NSD[:, at], k_NTD, v_NTD, hidden, dropout)
    return out_BHSD
