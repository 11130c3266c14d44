"""The residual convolutions phi that follow the upsampling of codes (VAR, section 3.2)."""

from __future__ import annotations

import torch
from torch import nn


class Phi(nn.Conv2d):
    """phi(h) = (1 - ratio) h + ratio conv3x3(h), on maps [B, channels, H, W]."""

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__(channels, channels, kernel_size=3, padding=1)
        self.ratio = ratio

    def forward(self, h_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the map after the residual convolution, in its shape."""
        return h_BCHW * (1 - self.ratio) + super().forward(h_BCHW) * self.ratio


class PhiBank(nn.ModuleList):
    """`count` residual convolutions, shared by neighbouring scales."""

    def __init__(self, count: int, channels: int, ratio: float) -> None:
        super().__init__(Phi(channels, ratio) for _ in range(count))

    def at(self, step: int, steps: int) -> Phi:
        """Return the convolution that serves scale `step` of `steps`."""
        return self[phi_of_scale(step, steps, len(self))]


def phi_of_scale(step: int, steps: int, count: int) -> int:
    """Return which of `count` convolutions serves scale `step` of `steps`.

    The convolutions sit at ticks spread over [0, 1], the scales at step / (steps - 1); the nearest
    tick wins, the lower one of two. With as many convolutions as scales, each scale has its own.
    """
    # the original's two rules: its four ticks lie nearer to the ends than any other number's
    margin = 1 / 3 / count if count == 4 else 1 / 2 / count
    gap = (1 - margin - margin) / max(count - 1, 1)
    position = step / max(steps - 1, 1)
    return min(range(count), key=lambda tick: abs(tick * gap + margin - position))
