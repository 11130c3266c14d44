"""The feature `my-name`."""

import torch
from torch import nn
from torch.nn import functional as F


class MyComponent(nn.Module):
    """The images themselves, at a small size: replace it by a frozen network.

    Args:
        side: of the small images in pixels.
    """

    def __init__(self, *, side: int) -> None:
        super().__init__()
        self.side = side
        self.label = f"pixels{side}"
        self.eval().requires_grad_(False)

    def distance(self, images: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return the mean squared difference of the small images, [B]."""
        return (self.pooled(images) - self.pooled(reference)).square().mean(dim=1)

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Return the pixels of the small images, [B, 3 * side * side]."""
        return F.adaptive_avg_pool2d(images, self.side).flatten(1)
