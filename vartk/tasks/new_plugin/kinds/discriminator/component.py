"""The discriminator `my-name`."""

import torch
from torch import nn


class MyComponent(nn.Module):
    """Convolutions that halve the image, and a logit for each patch that is left.

    Args:
        width: channels after the first convolution.
        layers: number of convolutions that halve the image.
    """

    def __init__(self, *, width: int, layers: int) -> None:
        super().__init__()
        widths = [3, *(width << layer for layer in range(layers))]
        parts: list[nn.Module] = []
        for index in range(layers):
            parts += [nn.Conv2d(widths[index], widths[index + 1], 4, 2, 1), nn.LeakyReLU(0.2)]
        self.network = nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits [B, h, w] of images [B, 3, H, W]."""
        return self.network(images)[:, 0]
