"""Pictures as gradio wants them."""

from __future__ import annotations

import torch
from PIL import Image

from ..images import enlarged, to_pil


def shown(images: torch.Tensor) -> list[Image.Image]:
    """Return images [N, 3, H, W] in [0, 1] for a gallery, small ones enlarged."""
    return [to_pil(image) for image in enlarged(images.cpu())]


def as_images(pictures: list[Image.Image]) -> torch.Tensor:
    """Return pictures of one size as images [N, 3, H, W] in [-1, 1]."""
    from ..engine.data import to_tensor

    return torch.stack([to_tensor(picture.convert("RGB")) for picture in pictures])
