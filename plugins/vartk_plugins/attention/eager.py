"""Attention written out, in fp32: what the other backends are compared with.

Legend: B batch, S and T query and key tokens, H heads, D head dim.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vartk_registry.interfaces import AttentionRequest


@dataclass(frozen=True)
class EagerAttention:
    """The definition of attention: it holds all S x T weights, and serves every request."""

    def unavailable(self) -> str:
        """Return an empty string: it runs wherever torch does."""
        return ""

    def unsupported(self, request: AttentionRequest) -> list[str]:
        """Return no reasons: it serves every request."""
        return []

    def prepare(self, request: AttentionRequest) -> Tensor:
        """Return which query sees which key, booleans [S, T]."""
        return request.mask.dense(request.device)

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, scale: float, plan: Tensor, dropout: float
    ) -> Tensor:
        """Compute attention in fp32 (fp64 for fp64), autocast or not; the result has q's dtype."""
        dtype = torch.promote_types(q.dtype, torch.float32)
        q_BSHD, k_BTHD, v_BTHD = q.to(dtype), k.to(dtype), v.to(dtype)
        with torch.autocast(q.device.type, enabled=False):
            scores_BHST = torch.einsum("bshd,bthd->bhst", q_BSHD, k_BTHD) * scale
            weights_BHST = scores_BHST.masked_fill(~plan, float("-inf")).softmax(dim=-1)
            weights_BHST = F.dropout(weights_BHST, dropout)
            return torch.einsum("bhst,bthd->bshd", weights_BHST, v_BTHD).to(q.dtype)
