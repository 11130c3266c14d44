"""Peak signal-to-noise ratio."""

from __future__ import annotations

import torch

from .mean import MeanOverImages


class PSNR(MeanOverImages):
    """10 log10(1 / MSE) in dB of each image, then the mean; infinite where an image is equal."""

    name = "psnr_db"

    def score(self, images: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return the dB of each image, [B]."""
        return -10 * (images - reference).square().mean(dim=(1, 2, 3)).log10()
