"""VAR's transformer block: attention and feed-forward, each under an adaptive layer norm (AdaLN).

Legend: B batch, S tokens, H heads, D head dim, C width; the 6 of a modulation are the gains, scales
and shifts of both sub-layers, in this order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vartk_registry.kernels import serves_triton

MAX_SCALE = 100.0
"""The bound on a head's learned softmax scale."""

Compute = Callable[[Tensor], Tensor]
"""A sub-layer, from tokens [B, S, C] to its output [B, S, C] with the gain applied."""

Around = Callable[[str, Tensor, Compute], Tensor]
"""Calls a sub-layer ("attention", "cross_attention", "ffn") on tokens [B, S, C]; returns [B, S, C]."""


class AttendMasked(Protocol):
    """Attention with its mask already bound."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, scale: float, dropout: float) -> Tensor:
        """Return softmax(scale q k^T + mask) v for q, k, v [B, S, H, D]."""
        ...


def adaptive_norm(x_BSC: Tensor, scale_B1C: Tensor, shift_B1C: Tensor, eps: float) -> Tensor:
    """Return LN(x) (1 + scale) + shift; the norm itself has no parameters."""
    if serves_triton(x_BSC):
        from . import kernels  # needs Triton, which comes with torch for CUDA alone

        dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else x_BSC.dtype
        return kernels.adaptive_norm(x_BSC, scale_B1C, shift_B1C, eps, dtype)
    return F.layer_norm(x_BSC, x_BSC.shape[-1:], eps=eps) * (1 + scale_B1C) + shift_B1C


class QkvLinear(nn.Module):
    """The projection to queries, keys and values; keys have no bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3 * width, width))
        self.q_bias = nn.Parameter(torch.empty(width))
        self.v_bias = nn.Parameter(torch.empty(width))

    def forward(self, x_BSC: Tensor) -> Tensor:
        """Return queries, keys and values, [B, S, 3 C]."""
        return F.linear(x_BSC, self.weight, self._bias())

    def folded(self, device: torch.device) -> nn.Linear:
        """Return the same as one `nn.Linear`, which inference packs, on any device."""
        outputs, width = self.weight.shape
        linear = nn.Linear(width, outputs, device="meta")
        linear.weight = self.weight
        linear.bias = nn.Parameter(self._bias().detach())
        return linear

    def _bias(self) -> Tensor:
        return torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))


class Attention(nn.Module):
    """Self-attention whose softmax scale is never 1/sqrt(D).

    With `l2_norm` queries and keys are unit vectors, and each head learns the logarithm of its
    scale, at most log 100; without it the scale is 0.25/sqrt(D).
    """

    def __init__(self, width: int, heads: int, *, l2_norm: bool, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.fixed_scale = 1.0 if l2_norm else 0.25 / math.sqrt(width // heads)
        self.qkv = QkvLinear(width)
        self.log_scale = nn.Parameter(torch.empty(heads)) if l2_norm else None
        self.proj = nn.Linear(width, width)

    def forward(self, x_BSC: Tensor, attend: AttendMasked) -> Tensor:
        """Return the attention's output [B, S, C]; `attend` decides which keys are seen."""
        q_BSHD, k_BSHD, v_BSHD = self.project(x_BSC)
        dropout = self.dropout if self.training else 0.0
        out_BSHD = attend(q_BSHD, k_BSHD, v_BSHD, scale=self.fixed_scale, dropout=dropout)
        return F.dropout(self.proj(out_BSHD.flatten(2)), self.dropout, self.training)

    def project(self, x_BSC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the queries, keys and values [B, S, H, D], normalised where they are."""
        qkv_BS3HD = self.qkv(x_BSC).unflatten(-1, (3, self.heads, -1))
        q_BSHD, k_BSHD, v_BSHD = qkv_BS3HD.unbind(2)
        if self.log_scale is not None:
            if serves_triton(qkv_BS3HD):
                from . import kernels

                return *kernels.unit_heads(qkv_BS3HD, self.log_scale, math.log(MAX_SCALE)), v_BSHD
            # norms in fp32, as autocast would have them on some devices only
            scale_H1 = self.log_scale.clamp(max=math.log(MAX_SCALE)).exp()[:, None]
            q_BSHD = (F.normalize(q_BSHD.float(), dim=-1) * scale_H1).to(v_BSHD.dtype)
            k_BSHD = F.normalize(k_BSHD.float(), dim=-1).to(v_BSHD.dtype)
        return q_BSHD, k_BSHD, v_BSHD


class GeluLinear(nn.Linear):
    """A linear layer and a tanh-approximated GELU; inference computes both at once where it can."""

    activation = "gelu_tanh"

    def forward(self, x_BSC: Tensor) -> Tensor:
        """Return gelu(x W^T + b)."""
        return F.gelu(super().forward(x_BSC), approximate="tanh")


class FeedForward(nn.Module):
    """Two linear layers with a tanh-approximated GELU between them."""

    def __init__(self, width: int, hidden: int, *, dropout: float) -> None:
        super().__init__()
        self.fc1 = GeluLinear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.dropout = dropout

    def forward(self, x_BSC: Tensor) -> Tensor:
        """Return the output [B, S, C]."""
        return F.dropout(self.fc2(self.fc1(x_BSC)), self.dropout, self.training)


class Block(nn.Module):
    """One block, with its own projection of the condition or an offset to a shared one."""

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        shared_adaln: bool,
        l2_norm: bool,
        drop_path: float,
        dropout: float,
        norm_eps: float,
    ) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.norm_eps = norm_eps
        if shared_adaln:
            self.modulation_offset = nn.Parameter(torch.empty(1, 1, 6, width))
        else:
            self.modulation = nn.Linear(width, 6 * width)
        self.shared_adaln = shared_adaln
        self.attention = Attention(width, heads, l2_norm=l2_norm, dropout=dropout)
        self.ffn = FeedForward(width, hidden, dropout=dropout)

    def forward(self, x_BSC: Tensor, condition: Any, attend: AttendMasked) -> Tensor:
        """Return the block's output [B, S, C] for all tokens; `condition` as in `prepare`."""
        return self.run(x_BSC, self.prepare(condition), attend, _on_all_tokens)

    def prepare(self, condition: Any) -> tuple[Tensor | None, ...]:
        """Return what a condition fixes for all tokens, rows of a batch each: here the modulation."""
        return (self.modulate(condition),)

    def modulate(self, condition: Tensor) -> Tensor:
        """Return the modulation [B, 1, 6, C].

        `condition` is [B, C] after SiLU or, with shared AdaLN, the shared modulation [B, 1, 6, C].
        """
        if self.shared_adaln:
            return condition + self.modulation_offset
        return self.modulation(condition).unflatten(-1, (1, 6, -1))

    def run(
        self, x_BSC: Tensor, prepared: tuple[Tensor | None, ...], attend: AttendMasked, around: Around
    ) -> Tensor:
        """Return the block's output [B, S, C], each sub-layer called through `around`."""
        modulation_B16C, *context = prepared
        gain1, gain2, scale1, scale2, shift1, shift2 = modulation_B16C.unbind(2)

        def attention(x: Tensor) -> Tensor:
            return self.attention(adaptive_norm(x, scale1, shift1, self.norm_eps), attend) * gain1

        def ffn(x: Tensor) -> Tensor:
            return self.ffn(adaptive_norm(x, scale2, shift2, self.norm_eps)) * gain2

        x_BSC = x_BSC + self._drop_path(around("attention", x_BSC, attention))
        x_BSC = self.read(x_BSC, context, around)
        return x_BSC + self._drop_path(around("ffn", x_BSC, ffn))

    def read(self, x_BSC: Tensor, context: Sequence[Tensor | None], around: Around) -> Tensor:
        """Return the tokens after they have read the context, of which there is none here."""
        return x_BSC

    def _drop_path(self, out_BSC: Tensor) -> Tensor:
        if not self.training or not self.drop_path:
            return out_BSC
        from timm.layers import drop_path  # seconds to import, and sampling has no use for it

        return drop_path(out_BSC, self.drop_path, self.training)


def _on_all_tokens(branch: str, x_BSC: Tensor, compute: Compute) -> Tensor:
    return compute(x_BSC)
