"""Which cells a mask of pixels leaves to be given, at each scale."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from vartk_registry.interfaces import Schedule

FEW = 3
"""The published notebook gives every cell of a grid of so few, whatever the mask."""


def kept_cells(masks: torch.Tensor, schedule: Schedule) -> list[torch.Tensor]:
    """Return the weights [N, h*w, 1] of the given cells at each scale, 0 or 1.

    A cell of the last grid is drawn if any of its pixels is. A cell of a coarser grid is drawn if at least
    half of it is, after bilinear resizing (the rule of VAR's zero-shot notebook).

    Args:
        masks: [N, 1, H, W], from 0 (kept) to 1 (drawn).
    """
    kept = 1 - (F.adaptive_max_pool2d(masks, schedule.latent) > 0).float()
    return [
        (F.interpolate(kept, size=grid, mode="bilinear") > 0.5).float().flatten(2).transpose(1, 2)
        for grid in schedule.grids
    ]


def with_coarse(weights: list[torch.Tensor], schedule: Schedule) -> list[torch.Tensor]:
    """Return weights that give every cell of the grids of at most `FEW` cells."""
    return [
        torch.ones_like(weight) if size <= FEW else weight
        for weight, size in zip(weights, schedule.sizes, strict=True)
    ]
