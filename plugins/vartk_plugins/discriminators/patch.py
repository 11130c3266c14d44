"""PatchGAN (Isola et al., arXiv 1611.07004, section 6.1.2)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from vartk_registry import VartkError


class PatchDiscriminator(nn.Module):
    """Strided convolutions; each logit judges one of overlapping patches.

    Args:
        width: channels of the first convolution.
        layers: convolutions of stride 2.
    """

    def __init__(self, *, width: int, layers: int) -> None:
        super().__init__()
        widths = [3, *(width * min(2**layer, 8) for layer in range(layers + 1))]
        self.layers = layers
        # the norm is that of the weights: batch norm would let an image's logits depend on the others,
        # and differ between the parts of a batch and between processes
        stages: list[nn.Module] = []
        for layer in range(layers + 1):
            stride = 2 if layer < layers else 1
            stages += [_conv(widths[layer], widths[layer + 1], stride), nn.LeakyReLU(0.2)]
        self.stages = nn.Sequential(*stages, _conv(widths[-1], 1, stride=1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits [B, h, w] of the patches of images [B, 3, H, W].

        Raises:
            VartkError: the images are too small for the number of layers.
        """
        h, w = images.shape[-2:]
        least = 3 * 2**self.layers  # two convolutions of 4 x 4 follow, which each take one off a side
        if min(h, w) < least:
            raise VartkError(
                f"discriminator 'patch' with layers={self.layers} takes images of {least} pixels a side or "
                f"more, not {h}x{w}; lower its layers"
            )
        return self.stages(images).squeeze(1)


def _conv(inputs: int, outputs: int, stride: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel_size=4, stride=stride, padding=1))
