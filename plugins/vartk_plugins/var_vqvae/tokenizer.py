"""The tokenizer of VAR: a multi-scale residual VQVAE (arXiv 2404.02905, section 3.2).

Legend: B batch, C latent channels, H and W the latent grid, n the tokens of a scale.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from vartk_registry.interfaces import Schedule

from .phi import PhiBank
from .residual import ResidualTokenizer


class MultiScaleVQVAE(ResidualTokenizer):
    """Vectors of a scale are upsampled (bicubic) and pass through a convolution phi.

    Args:
        phi, phi_ratio: see `VQVAEConfig`.
        sizes: the other arguments of `ResidualTokenizer`.
    """

    def __init__(self, *, latent: int, phi: int, phi_ratio: float, **sizes: Any) -> None:
        super().__init__(latent=latent, convolved=True, **sizes)
        self.phi = PhiBank(phi, latent, phi_ratio)

    def _spread(self, vectors_BnC: torch.Tensor, step: int, schedule: Schedule) -> torch.Tensor:
        grid = schedule.grids[step]
        h_BCHW = vectors_BnC.transpose(1, 2).unflatten(2, grid)
        if grid != schedule.latent:
            h_BCHW = F.interpolate(h_BCHW, size=schedule.latent, mode="bicubic")
        return self.phi.at(step, len(schedule))(h_BCHW)
