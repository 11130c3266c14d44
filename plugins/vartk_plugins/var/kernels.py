"""The small operations of a block on a GPU, each in one Triton kernel; all arithmetic is in fp32.

A step of one image launches thousands of kernels that take microseconds each. These replace 16 a block.

Legend: B batch, S tokens, C width, H heads, D head dim.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _adaptive_norm(
    x_ptr, scale_ptr, shift_ptr, out_ptr, S, C, scale_stride, shift_stride, eps, WIDTH: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, WIDTH)
    inside = c < C
    x = tl.load(x_ptr + row * C + c, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(x) / C
    away = tl.where(inside, x - mean, 0.0)
    rstd = 1 / tl.sqrt(tl.sum(away * away) / C + eps)
    scale = tl.load(scale_ptr + row // S * scale_stride + c, mask=inside, other=0.0).to(tl.float32)
    shift = tl.load(shift_ptr + row // S * shift_stride + c, mask=inside, other=0.0).to(tl.float32)
    y = away * rstd * (1 + scale) + shift
    tl.store(out_ptr + row * C + c, y.to(out_ptr.dtype.element_ty), mask=inside)


def adaptive_norm(
    x_BSC: Tensor, scale_B1C: Tensor, shift_B1C: Tensor, eps: float, dtype: torch.dtype
) -> Tensor:
    """Return LN(x) (1 + scale) + shift in a dtype."""
    x_BSC = x_BSC.contiguous()
    batch, tokens, width = x_BSC.shape
    out_BSC = torch.empty_like(x_BSC, dtype=dtype)
    _adaptive_norm[batch * tokens,](
        x_BSC, scale_B1C, shift_B1C, out_BSC, tokens, width, scale_B1C.stride(0), shift_B1C.stride(0), eps,
        WIDTH=triton.next_power_of_2(width),
    )  # fmt: skip
    return out_BSC


@triton.jit
def _unit_heads(
    qkv_ptr, log_scale_ptr, q_ptr, k_ptr, H, D, most, eps, HEADS: tl.constexpr, DIMS: tl.constexpr
):
    token = tl.program_id(0).to(tl.int64)
    h, d = tl.arange(0, HEADS), tl.arange(0, DIMS)
    inside = (h < H)[:, None] & (d < D)[None, :]
    at = h[:, None] * D + d[None, :]
    scale = tl.exp(tl.minimum(tl.load(log_scale_ptr + h, mask=h < H, other=0.0).to(tl.float32), most))
    q = tl.load(qkv_ptr + token * 3 * H * D + at, mask=inside, other=0.0).to(tl.float32)
    k = tl.load(qkv_ptr + (token * 3 + 1) * H * D + at, mask=inside, other=0.0).to(tl.float32)
    q_norm = tl.maximum(tl.sqrt(tl.sum(q * q, axis=1)), eps)
    k_norm = tl.maximum(tl.sqrt(tl.sum(k * k, axis=1)), eps)
    q = q / q_norm[:, None] * scale[:, None]
    k = k / k_norm[:, None]
    tl.store(q_ptr + token * H * D + at, q.to(q_ptr.dtype.element_ty), mask=inside)
    tl.store(k_ptr + token * H * D + at, k.to(k_ptr.dtype.element_ty), mask=inside)


def unit_heads(
    qkv_BS3HD: Tensor, log_scale_H: Tensor, most: float, eps: float = 1e-12
) -> tuple[Tensor, Tensor]:
    """Return the queries and the keys [B, S, H, D] as unit vectors, the queries times each head's scale.

    Args:
        most: the bound on `log_scale_H`.
        eps: the least length that a vector is divided by.
    """
    qkv_BS3HD = qkv_BS3HD.contiguous()
    batch, tokens, _, heads, dims = qkv_BS3HD.shape
    q_BSHD, k_BSHD = (qkv_BS3HD.new_empty(batch, tokens, heads, dims) for _ in range(2))
    _unit_heads[batch * tokens,](
        qkv_BS3HD, log_scale_H, q_BSHD, k_BSHD, heads, dims, most, eps,
        HEADS=triton.next_power_of_2(heads), DIMS=triton.next_power_of_2(dims),
    )  # fmt: skip
    return q_BSHD, k_BSHD
