"""How alike images are that two ways of computing made of the same latents."""

from __future__ import annotations

import torch
from torch import nn


def psnr(images: torch.Tensor, expected: torch.Tensor) -> float | None:
    """Return the PSNR in dB of images whose values span 1; None where they are equal.

    Nothing is rounded to 8 bits, as the metric of the same name does.
    """
    error = nn.functional.mse_loss(images.double(), expected.double()).item()
    return None if error == 0 else -10 * torch.tensor(error).log10().item()
