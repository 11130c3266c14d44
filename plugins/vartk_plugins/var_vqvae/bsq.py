"""The tokenizer of Infinity: bitwise multi-scale residual quantisation (arXiv 2412.04431, section 3.2).

Legend: B batch, C latent channels, H and W the latent grid, n the tokens of a scale.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from vartk_registry.interfaces import Schedule

from .residual import ResidualTokenizer, tokens


class BitwiseVAE(ResidualTokenizer):
    """Maps are resized linearly and nothing is convolved on the way, neither upwards nor downwards.

    With the quantizer `bsq` a code is one bit a channel. The arguments are the fields of `BSQVAEConfig`.
    """

    def __init__(self, **sizes: Any) -> None:
        super().__init__(attention=False, convolved=False, **sizes)

    def next_input(self, f_hat: torch.Tensor, step: int, schedule: Schedule) -> torch.Tensor:
        """Return f_hat on the grid of scale `step`, as [B, n, channels]."""
        return tokens(f_hat, schedule.grids[step], mode="bilinear")

    def _spread(self, vectors_BnC: torch.Tensor, step: int, schedule: Schedule) -> torch.Tensor:
        grid = schedule.grids[step]
        h_BCHW = vectors_BnC.transpose(1, 2).unflatten(2, grid)
        return h_BCHW if grid == schedule.latent else F.interpolate(h_BCHW, schedule.latent, mode="bilinear")
