"""Puts what was drawn into an image."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from .fill import filled

FADE = 16
"""The correction at the edge fades over this part of the shorter side, or it would tint all that is drawn."""


def pasted(drawn: torch.Tensor, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return images with what was drawn under masks; where a mask is 0, the image is unchanged.

    The difference between the two at the kept pixels is continued smoothly into the drawn part and added to
    it, so that no edge shows there (the membrane of Poisson image editing, Perez et al., 2003). It fades with
    the distance from the edge.

    Args:
        drawn, images: [N, 3, H, W] in [0, 1].
        masks: [N, 1, H, W], from 0 (kept) to 1 (drawn).
    """
    kept = (masks == 0).to(images)
    matched = (drawn + filled(images - drawn, kept) * _nearness(kept)).clamp(0, 1)
    return torch.where(masks == 0, images, torch.lerp(images, matched, masks))


def _nearness(kept: torch.Tensor) -> torch.Tensor:
    """Return for each pixel 1 beside kept ones [N, 1, H, W], falling to 0 with the distance."""
    steps = max(1, min(kept.shape[-2:]) // FADE)
    reached, near = kept, torch.zeros_like(kept)
    for _ in range(steps):
        reached = F.max_pool2d(reached, 3, stride=1, padding=1)
        near = near + reached / steps
    return near
