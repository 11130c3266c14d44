"""Puts what was drawn into an image."""

from __future__ import annotations

import torch

from .fill import filled


def pasted(drawn: torch.Tensor, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return images with what was drawn under masks; where a mask is 0, the image is unchanged.

    The difference between the two at the kept pixels is continued smoothly into the drawn part and added to
    it, so that no edge shows there (the membrane of Poisson image editing, Perez et al., 2003).

    Args:
        drawn, images: [N, 3, H, W] in [0, 1].
        masks: [N, 1, H, W], from 0 (kept) to 1 (drawn).
    """
    matched = (drawn + filled(images - drawn, (masks == 0).to(images))).clamp(0, 1)
    return torch.where(masks == 0, images, torch.lerp(images, matched, masks))
