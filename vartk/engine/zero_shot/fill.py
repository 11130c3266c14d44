"""Fills holes of images smoothly from around them."""

from __future__ import annotations

import torch
from torch.nn import functional as F

SWEEPS = 8
"""Relaxations at each resolution. The coarser ones carry values far, so that a few are enough."""


def filled(images: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return images whose unknown pixels continue the known ones, about as the heat equation does.

    Args:
        images: [N, C, H, W].
        known: [N, 1, H, W], from 0 (the pixel is replaced) to 1 (it stays). An image without known pixels
            becomes 0.
    """
    h, w = images.shape[-2:]
    if max(h, w) == 1:
        return torch.where(known > 0, images, 0)
    half = -(-h // 2), -(-w // 2)
    weight = F.adaptive_avg_pool2d(known, half)
    mean = F.adaptive_avg_pool2d(images * known, half) / weight.clamp(min=1e-6)
    coarse = filled(mean, (weight > 0).to(known))
    made = known * images + (1 - known) * F.interpolate(coarse, size=(h, w), mode="bilinear")
    for _ in range(SWEEPS):
        around = F.avg_pool2d(F.pad(made, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        made = known * images + (1 - known) * around
    return made
