"""Group normalisation and SiLU on a GPU, in Triton.

torch's kernel copies a channels_last map to another layout and back, in fp32 under autocast. Here a map is
read twice and written once, in its own layout, and so are its gradients; all arithmetic is in fp32. No sum
depends on the order in which a GPU works, so that a training repeats bit for bit.

Legend: B batch, N positions, C channels, G groups, K channels of a group, T tiles of positions.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

ELEMENTS = 8192
"""Numbers of a tile: positions times channels, the channels rounded up to a power of 2."""


@triton.jit
def _sums(x_ptr, mean_ptr, square_ptr, N, C, TILE: tl.constexpr, WIDTH: tl.constexpr):
    """Write each channel's mean in a tile [B, T, C], and the sum of its squared distances from that."""
    image, tile = tl.program_id(0), tl.program_id(1)
    n = tile * TILE + tl.arange(0, TILE)
    c = tl.arange(0, WIDTH)
    inside = (n < N)[:, None] & (c < C)[None, :]
    at = image.to(tl.int64) * N * C + n[:, None] * C + c[None, :]
    x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
    count = tl.minimum(N - tile * TILE, TILE)
    mean = tl.sum(x, axis=0) / count
    away = tl.where(inside, x - mean[None, :], 0.0)
    out = (image * tl.num_programs(1) + tile) * C + c
    tl.store(mean_ptr + out, mean, mask=c < C)
    tl.store(square_ptr + out, tl.sum(away * away, axis=0), mask=c < C)


@triton.jit
def _statistics(
    mean_ptr, square_ptr, group_mean_ptr, rstd_ptr, N, C, T, K, eps,
    TILE: tl.constexpr, TILES: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Join the tiles and the channels of a group: its mean and 1 / standard deviation, [B, G]."""
    image, group = tl.program_id(0), tl.program_id(1)
    k = tl.arange(0, WIDTH)
    total = tl.zeros((TILES, WIDTH), tl.float32)
    for first in range(0, T, TILES):
        t = first + tl.arange(0, TILES)
        inside = (t < T)[:, None] & (k < K)[None, :]
        count = tl.minimum(N - t * TILE, TILE).to(tl.float32)[:, None]
        at = (image * T + t[:, None]) * C + group * K + k[None, :]
        total += tl.load(mean_ptr + at, mask=inside, other=0.0) * count
    mean = tl.sum(total) / (N * K)
    squares = tl.zeros((TILES, WIDTH), tl.float32)
    for first in range(0, T, TILES):
        t = first + tl.arange(0, TILES)
        inside = (t < T)[:, None] & (k < K)[None, :]
        count = tl.minimum(N - t * TILE, TILE).to(tl.float32)[:, None]
        at = (image * T + t[:, None]) * C + group * K + k[None, :]
        away = tl.load(mean_ptr + at, mask=inside, other=0.0) - mean
        squares += tl.load(square_ptr + at, mask=inside, other=0.0) + tl.where(
            inside, away * away * count, 0.0
        )
    out = image * tl.num_programs(1) + group
    tl.store(group_mean_ptr + out, mean)
    tl.store(rstd_ptr + out, 1 / tl.sqrt(tl.sum(squares) / (N * K) + eps))


@triton.jit
def _normalise(
    x_ptr, mean_ptr, rstd_ptr, weight_ptr, bias_ptr, out_ptr, N, C, G, K,
    SILU: tl.constexpr, TILE: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Write the normalised map, after SiLU where that is on."""
    image, tile = tl.program_id(0), tl.program_id(1)
    n = tile * TILE + tl.arange(0, TILE)
    c = tl.arange(0, WIDTH)
    inside = (n < N)[:, None] & (c < C)[None, :]
    at = image.to(tl.int64) * N * C + n[:, None] * C + c[None, :]
    group = image * G + c // K
    scale = tl.load(rstd_ptr + group, mask=c < C, other=0.0) * tl.load(weight_ptr + c, mask=c < C, other=0.0)
    shift = tl.load(bias_ptr + c, mask=c < C, other=0.0)
    mean = tl.load(mean_ptr + group, mask=c < C, other=0.0)
    x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
    y = (x - mean[None, :]) * scale[None, :] + shift[None, :]
    if SILU:
        y = y * tl.sigmoid(y)
    tl.store(out_ptr + at, y.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _before_silu(
    x_ptr, grad_ptr, mean_ptr, rstd_ptr, weight_ptr, bias_ptr, at, inside, group, c, C,
    SILU: tl.constexpr,
):  # fmt: skip
    """Return the normalised map before weight and bias, and the loss's gradient after them, before SiLU."""
    mean = tl.load(mean_ptr + group, mask=c < C, other=0.0)
    rstd = tl.load(rstd_ptr + group, mask=c < C, other=0.0)
    x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
    normal = tl.where(inside, (x - mean[None, :]) * rstd[None, :], 0.0)
    grad = tl.load(grad_ptr + at, mask=inside, other=0.0).to(tl.float32)
    if SILU:
        weight = tl.load(weight_ptr + c, mask=c < C, other=0.0)
        bias = tl.load(bias_ptr + c, mask=c < C, other=0.0)
        y = normal * weight[None, :] + bias[None, :]
        gate = tl.sigmoid(y)
        grad = grad * gate * (1 + y * (1 - gate))
    return normal, grad


@triton.jit
def _gradient_sums(
    x_ptr, grad_ptr, mean_ptr, rstd_ptr, weight_ptr, bias_ptr, sum_ptr, product_ptr, N, C, G, K,
    SILU: tl.constexpr, TILE: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Write each channel's sum of gradients in a tile [B, T, C], and of gradients times normalised values."""
    image, tile = tl.program_id(0), tl.program_id(1)
    n = tile * TILE + tl.arange(0, TILE)
    c = tl.arange(0, WIDTH)
    inside = (n < N)[:, None] & (c < C)[None, :]
    at = image.to(tl.int64) * N * C + n[:, None] * C + c[None, :]
    group = image * G + c // K
    normal, grad = _before_silu(
        x_ptr, grad_ptr, mean_ptr, rstd_ptr, weight_ptr, bias_ptr, at, inside, group, c, C, SILU
    )
    out = (image * tl.num_programs(1) + tile) * C + c
    tl.store(sum_ptr + out, tl.sum(grad, axis=0), mask=c < C)
    tl.store(product_ptr + out, tl.sum(grad * normal, axis=0), mask=c < C)


@triton.jit
def _gradient(
    x_ptr, grad_ptr, mean_ptr, rstd_ptr, weight_ptr, bias_ptr, sum_ptr, product_ptr, out_ptr, N, C, G, K,
    SILU: tl.constexpr, TILE: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Write the gradient of the map, from the weighted means of a group's gradients and products [B, G]."""
    image, tile = tl.program_id(0), tl.program_id(1)
    n = tile * TILE + tl.arange(0, TILE)
    c = tl.arange(0, WIDTH)
    inside = (n < N)[:, None] & (c < C)[None, :]
    at = image.to(tl.int64) * N * C + n[:, None] * C + c[None, :]
    group = image * G + c // K
    normal, grad = _before_silu(
        x_ptr, grad_ptr, mean_ptr, rstd_ptr, weight_ptr, bias_ptr, at, inside, group, c, C, SILU
    )
    weight = tl.load(weight_ptr + c, mask=c < C, other=0.0)
    rstd = tl.load(rstd_ptr + group, mask=c < C, other=0.0)
    total = tl.load(sum_ptr + group, mask=c < C, other=0.0)
    product = tl.load(product_ptr + group, mask=c < C, other=0.0)
    dx = (grad * weight[None, :] - total[None, :] - normal * product[None, :]) * rstd[None, :]
    tl.store(out_ptr + at, dx.to(out_ptr.dtype.element_ty), mask=inside)


def group_norm(
    x_BCHW: Tensor,
    weight_C: Tensor,
    bias_C: Tensor,
    *,
    groups: int,
    eps: float,
    silu: bool,
    dtype: torch.dtype,
) -> Tensor:
    """Return the group normalisation of a channels_last map, after SiLU where that is on.

    It has a first derivative, no second one.

    Args:
        weight_C, bias_C: fp32.
        dtype: of the result.
    """
    return _GroupNorm.apply(x_BCHW, weight_C, bias_C, groups, eps, silu, dtype)


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x_BCHW: Tensor,
        weight_C: Tensor,
        bias_C: Tensor,
        groups: int,
        eps: float,
        silu: bool,
        dtype: torch.dtype,
    ) -> Tensor:
        batch, channels, positions, per_group, tile, width = _shape(x_BCHW, groups)
        tiles = triton.cdiv(positions, tile)
        out_BCHW = torch.empty_like(x_BCHW, dtype=dtype)
        mean_BTC, square_BTC = x_BCHW.new_empty(2, batch, tiles, channels, dtype=torch.float32)
        mean_BG, rstd_BG = x_BCHW.new_empty(2, batch, groups, dtype=torch.float32)
        _sums[batch, tiles](x_BCHW, mean_BTC, square_BTC, positions, channels, TILE=tile, WIDTH=width)
        _statistics[batch, groups](
            mean_BTC, square_BTC, mean_BG, rstd_BG, positions, channels, tiles, per_group, eps,
            TILE=tile, TILES=min(64, triton.next_power_of_2(tiles)), WIDTH=triton.next_power_of_2(per_group),
        )  # fmt: skip
        _normalise[batch, tiles](
            x_BCHW, mean_BG, rstd_BG, weight_C, bias_C, out_BCHW, positions, channels, groups, per_group,
            SILU=silu, TILE=tile, WIDTH=width,
        )  # fmt: skip
        ctx.save_for_backward(x_BCHW, weight_C, bias_C, mean_BG, rstd_BG)
        ctx.groups, ctx.silu = groups, silu
        return out_BCHW

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BCHW: Tensor) -> tuple[Tensor | None, ...]:
        x_BCHW, weight_C, bias_C, mean_BG, rstd_BG = ctx.saved_tensors
        groups, silu = ctx.groups, ctx.silu
        batch, channels, positions, per_group, tile, width = _shape(x_BCHW, groups)
        tiles = triton.cdiv(positions, tile)
        grad_BCHW = grad_BCHW.contiguous(memory_format=torch.channels_last)
        inputs = (x_BCHW, grad_BCHW, mean_BG, rstd_BG, weight_C, bias_C)
        sizes = (positions, channels, groups, per_group)
        sum_BTC, product_BTC = x_BCHW.new_empty(2, batch, tiles, channels, dtype=torch.float32)
        settings = {"SILU": silu, "TILE": tile, "WIDTH": width}
        _gradient_sums[batch, tiles](*inputs, sum_BTC, product_BTC, *sizes, **settings)
        sum_BC, product_BC = sum_BTC.sum(1), product_BTC.sum(1)
        # what the mean and the deviation of a group pass on to each of its positions
        means_BG = [
            (each_BC * weight_C).unflatten(1, (groups, per_group)).sum(2) / (positions * per_group)
            for each_BC in (sum_BC, product_BC)
        ]
        dx_BCHW = torch.empty_like(x_BCHW)
        _gradient[batch, tiles](*inputs, *means_BG, dx_BCHW, *sizes, **settings)
        return dx_BCHW, product_BC.sum(0), sum_BC.sum(0), None, None, None, None


def _shape(x_BCHW: Tensor, groups: int) -> tuple[int, int, int, int, int, int]:
    """Return B, C, N and K, the positions of a tile and its width."""
    batch, channels = x_BCHW.shape[:2]
    positions = x_BCHW[0, 0].numel()
    width = triton.next_power_of_2(channels)
    tile = min(max(ELEMENTS // width, 1), triton.next_power_of_2(positions))
    return batch, channels, positions, channels // groups, tile, width
