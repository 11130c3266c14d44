"""Which cells a mask of pixels leaves to be given, at each scale."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from vartk_registry.interfaces import Schedule

FEW = 3
"""The published notebook gives every cell of a grid of so few, whatever the mask."""


def kept_cells(masks: torch.Tensor, schedule: Schedule) -> list[torch.Tensor]:
    """Return the weights [N, h*w, 1] of the given cells at each scale, 0 or 1.

    A cell of the last grid is drawn if any of its pixels is. A cell of a coarser grid is given if at least
    half of it is.

    Args:
        masks: [N, 1, H, W], from 0 (kept) to 1 (drawn).
    """
    kept = _kept(masks, schedule)
    return [_cells(F.adaptive_avg_pool2d(kept, grid) >= 0.5) for grid in schedule.grids]


def published_cells(masks: torch.Tensor, schedule: Schedule) -> list[torch.Tensor]:
    """Return the weights as `kept_cells` does, by the rule of VAR's zero-shot notebook for coarser grids.

    A cell is given where the mask, resized bilinearly, is more than half kept, which at coarse grids looks at
    a few places only. All cells of a grid of at most `FEW` are given.
    """
    kept = _kept(masks, schedule)
    return [
        _cells((F.interpolate(kept, size=(h, w), mode="bilinear") > 0.5) | (h * w <= FEW))
        for h, w in schedule.grids
    ]


def _kept(masks: torch.Tensor, schedule: Schedule) -> torch.Tensor:
    """Return [N, 1, h, w], 1 for the cells of the last grid whose pixels are all kept."""
    return (F.adaptive_max_pool2d(masks, schedule.latent) == 0).float()


def _cells(weights: torch.Tensor) -> torch.Tensor:
    return weights.float().flatten(2).transpose(1, 2)
