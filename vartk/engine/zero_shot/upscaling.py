"""Super-resolution: what a small image says about a large one."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from vartk_registry import VartkError, shown
from vartk_registry.interfaces import Schedule

from ..arguments import LARGEST_FACTOR, is_factor

PROJECTIONS = 16
"""Corrections of a result, each by what is wrong with it at the small size."""


def enlarged(images: torch.Tensor, factor: float) -> torch.Tensor:
    """Return images [N, 3, H, W] in [-1, 1] enlarged bicubically.

    Raises:
        VartkError: the factor is not above 1.
    """
    if not is_factor(factor) or factor <= 1:
        raise VartkError(
            f"factor={shown(factor)} does not enlarge; give a number above 1 and up to {LARGEST_FACTOR}, as "
            "in factor=2"
        )
    h, w = images.shape[-2:]
    return _resized(images, (round(h * factor), round(w * factor))).clamp(-1, 1)


def scales_shown(schedule: Schedule, share: float) -> int:
    """Return how many scales, from the first, an image determines that has only a share of the resolution.

    At least one; those whose grid is at most this share of the last one.
    """
    h, w = schedule.latent
    shown = [grid[0] <= h * share + 1e-6 and grid[1] <= w * share + 1e-6 for grid in schedule.grids]
    return max(1, sum(shown))


def projected(images: torch.Tensor, small: torch.Tensor) -> torch.Tensor:
    """Return images [N, 3, H, W] in [0, 1] changed until, at the size of small ones, they equal these.

    Iterative back-projection (Irani and Peleg, 1991).
    """
    for _ in range(PROJECTIONS):
        wrong = small - _resized(images, small.shape[-2:])
        images = (images + _resized(wrong, images.shape[-2:])).clamp(0, 1)
    return images


def _resized(images: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    return F.interpolate(images, size=tuple(size), mode="bicubic", antialias=True)
