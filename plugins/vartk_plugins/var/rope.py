"""Rotary positions in two dimensions (RoPE, arXiv 2104.09864), the same place in the image at each scale.

Legend: B batch, S tokens, M of all scales, H heads, D head dim, d = D/2 pairs of channels; the 2 of turns is
cosine and sine.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vartk_registry import VartkError
from vartk_registry.interfaces import Grid, Schedule

BASE = 10_000.0
"""The longest wavelength, in cells of the reference grid, is 2 pi times nearly as much."""


def turns_of(schedule: Schedule, head_dim: int, device: torch.device) -> Tensor:
    """Return by how much the channels of each token are turned, [1, M, d, 2], fp32.

    The first half of the pairs is turned by the row, the other half by the column, both measured on the
    schedule's reference grid and rounded to its cells (arXiv 2412.04431, normalised by height and width).

    Raises:
        VartkError: the head dim is no multiple of 4.
    """
    if head_dim % 4:
        raise VartkError(
            f"2-D RoPE turns pairs of channels by row and by column, so that a head of {head_dim} channels "
            "cannot have it; take a head dim that is a multiple of 4"
        )
    pairs = head_dim // 4
    speeds = BASE ** -(torch.arange(pairs, device=device) / pairs)
    reference = schedule.reference or schedule.latent
    parts = [_places(grid, reference, device) for grid in schedule.grids]
    angles_Md = (torch.cat(parts)[:, :, None] * speeds).flatten(1)
    return torch.stack((angles_Md.cos(), angles_Md.sin()), dim=-1)[None]


def rotated(x_BSHD: Tensor, turns_BSd2: Tensor) -> Tensor:
    """Return queries or keys with each pair of adjacent channels turned, in their type."""
    a, b = x_BSHD.float().unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = turns_BSd2[:, :, None].unbind(-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2).to(x_BSHD.dtype)


def _places(grid: Grid, reference: Grid, device: torch.device) -> Tensor:
    """Return the row and the column [n, 2] of each token of a grid, in cells of the reference grid."""
    lines = [
        (torch.arange(side, device=device) * (whole / side)).round()
        for side, whole in zip(grid, reference, strict=True)
    ]
    return torch.stack(torch.meshgrid(*lines, indexing="ij"), dim=-1).flatten(0, 1)
