"""The parts of the convolutional encoder and decoder (of VQGAN, arXiv 2012.09841).

Legend: B batch, C channels, H and W height and width, N = H W positions.
Every part works on channels_last maps without copying them to another layout.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from vartk_registry.kernels import serves_triton
from vartk_registry.precision import compute_dtype

GROUPS = 32
"""The groups of every normalisation, which must divide the widths."""


class Norm(nn.GroupNorm):
    """The group normalisation of all blocks, with a SiLU after it unless `silu` is off.

    A GPU computes both in one go, see `kernels`; under torch.compile, the compiler fuses them.
    """

    def __init__(self, channels: int, *, silu: bool = True) -> None:
        super().__init__(GROUPS, channels, eps=1e-6)
        self.silu = silu

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the normalised map."""
        if self._has_kernel(x_BCHW):
            from .kernels import group_norm  # needs Triton, which comes with torch for CUDA alone

            dtype = compute_dtype(self.weight)
            settings = {"groups": self.num_groups, "eps": self.eps, "silu": self.silu, "dtype": dtype}
            return group_norm(x_BCHW, self.weight, self.bias, **settings)
        normal_BCHW = super().forward(x_BCHW)
        return F.silu(normal_BCHW) if self.silu else normal_BCHW

    def _has_kernel(self, x_BCHW: torch.Tensor) -> bool:
        return x_BCHW.is_contiguous(memory_format=torch.channels_last) and serves_triton(
            x_BCHW, backward=True
        )


class ResBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the width changes."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = Norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
        self.norm2 = Norm(outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1)
        self.nin_shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, kernel_size=1)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the map [B, outputs, H, W]."""
        h_BCHW = self.conv1(self.norm1(x_BCHW))
        h_BCHW = self.conv2(self.dropout(self.norm2(h_BCHW)))
        return self.nin_shortcut(x_BCHW) + h_BCHW


class AttnBlock(nn.Module):
    """Single-head self-attention over all positions of the map, scaled by C^-0.5."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = Norm(channels, silu=False)
        self.qkv = nn.Conv2d(channels, 3 * channels, kernel_size=1)
        self.proj_out = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the map with what its positions attend to added."""
        qkv_BN3C = self.qkv(self.norm(x_BCHW)).flatten(2).transpose(1, 2)
        q_B1NC, k_B1NC, v_B1NC = qkv_BN3C.unsqueeze(1).chunk(3, dim=-1)
        h_B1NC = F.scaled_dot_product_attention(q_B1NC, k_B1NC, v_B1NC)
        h_BCHW = h_B1NC.squeeze(1).transpose(1, 2).unflatten(2, x_BCHW.shape[2:])
        return x_BCHW + self.proj_out(h_BCHW)


class Downsample(nn.Module):
    """Halve the map by a strided convolution, padded at the right and at the bottom alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, stride=2)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the map [B, C, H/2, W/2]."""
        return self.conv(F.pad(x_BCHW, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double the map by its nearest neighbours, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the map [B, C, 2H, 2W]."""
        return self.conv(F.interpolate(x_BCHW, scale_factor=2, mode="nearest"))

    def folded(self, device: torch.device) -> nn.Module:
        """Return the same as one transposed convolution, with 4 products an output and not 9.

        A GPU takes longer for it than for the two steps, so these stay there.

        An output sees 2x2 different inputs, each of them under one or two of the 3 weights of a side; the
        4 weights of a side of the transposed kernel are their sums.
        """
        if device.type == "cuda":
            return self
        channels = self.conv.in_channels
        conv = nn.ConvTranspose2d(channels, channels, kernel_size=4, stride=2, padding=1, device="meta")
        sums_43 = self.conv.weight.new_tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
        weight = torch.einsum("oiyx,Yy,Xx->ioYX", self.conv.weight.detach(), sums_43, sums_43)
        conv.weight, conv.bias = nn.Parameter(weight), self.conv.bias
        return conv
