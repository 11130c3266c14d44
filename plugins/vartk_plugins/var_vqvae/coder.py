"""The convolutional encoder and decoder between images and latent maps.

Level 0 has the size of the image, and each further one half of the one before; the attributes'
names are those of the published weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .blocks import AttnBlock, Downsample, Norm, ResBlock, Upsample


class Level(nn.Module):
    """The residual blocks of one resolution, each followed by attention where it is on."""

    def __init__(self, inputs: int, outputs: int, *, blocks: int, dropout: float, attention: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResBlock(outputs if index else inputs, outputs, dropout) for index in range(blocks)
        )
        self.attn = nn.ModuleList(_attention(outputs, attention) for _ in range(blocks))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the map [B, outputs, H, W]."""
        for block, attn in zip(self.block, self.attn, strict=True):
            x_BCHW = attn(block(x_BCHW))
        return x_BCHW


class Middle(nn.Module):
    """Two residual blocks at the coarsest level, with attention between them where it is on."""

    def __init__(self, channels: int, *, dropout: float, attention: bool) -> None:
        super().__init__()
        self.block_1 = ResBlock(channels, channels, dropout)
        self.attn_1 = _attention(channels, attention)
        self.block_2 = ResBlock(channels, channels, dropout)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return a map of the same shape."""
        return self.block_2(self.attn_1(self.block_1(x_BCHW)))


class Encoder(nn.Module):
    """Images [B, 3, H, W] to maps [B, latent, H/s, W/s], s = 2^(levels - 1).

    Args:
        widths: the width of each level, finest first.
        stem: the width of the first convolution.
        blocks: residual blocks per level.
        latent: channels of the latent.
        dropout: in the residual blocks.
        attention: whether the last level and the middle attend.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        stem: int,
        blocks: int,
        latent: int,
        dropout: float,
        attention: bool,
    ) -> None:
        super().__init__()
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(3, stem, kernel_size=3, padding=1)
        self.down = nn.ModuleList()
        for index, (inputs, outputs) in enumerate(zip([stem, *widths], widths, strict=False)):
            attends = attention and index == last
            level = Level(inputs, outputs, blocks=blocks, dropout=dropout, attention=attends)
            level.downsample = Downsample(outputs) if index != last else nn.Identity()
            self.down.append(level)
        self.mid = Middle(widths[-1], dropout=dropout, attention=attention)
        self.norm_out = Norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], latent, kernel_size=3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the latent map of images."""
        x_BCHW = self.conv_in(images)
        for level in self.down:
            x_BCHW = level.downsample(level(x_BCHW))
        return self.conv_out(self.norm_out(self.mid(x_BCHW)))


class Decoder(nn.Module):
    """Maps [B, latent, h, w] to images [B, 3, s h, s w], each level with one block more."""

    def __init__(
        self, widths: Sequence[int], *, blocks: int, latent: int, dropout: float, attention: bool
    ) -> None:
        super().__init__()
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(latent, widths[-1], kernel_size=3, padding=1)
        self.mid = Middle(widths[-1], dropout=dropout, attention=attention)
        self.up = nn.ModuleList()
        for index, (inputs, outputs) in enumerate(zip([*widths[1:], widths[-1]], widths, strict=True)):
            attends = attention and index == last
            level = Level(inputs, outputs, blocks=blocks + 1, dropout=dropout, attention=attends)
            level.upsample = Upsample(outputs) if index != 0 else nn.Identity()
            self.up.append(level)
        self.norm_out = Norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, kernel_size=3, padding=1)

    def forward(self, f_hat: torch.Tensor) -> torch.Tensor:
        """Return the images of a latent map, in about [-1, 1]."""
        x_BCHW = self.coarse(f_hat)
        coarsest, *finer = reversed(self.up)
        x_BCHW = coarsest.upsample(x_BCHW)
        for level in finer:
            x_BCHW = level.upsample(level(x_BCHW))
        return self.finish(x_BCHW)

    def coarse(self, f_hat: torch.Tensor) -> torch.Tensor:
        """Return the map of the coarsest level, which has the size of the latent."""
        return self.up[-1](self.mid(self.conv_in(f_hat)))

    def finish(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the images of the finest level's map."""
        return self.conv_out(self.norm_out(x_BCHW))


def _attention(channels: int, on: bool) -> nn.Module:
    return AttnBlock(channels) if on else nn.Identity()
