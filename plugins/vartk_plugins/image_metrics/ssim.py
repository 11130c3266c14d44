"""Structural similarity (Wang et al. 2004, "Image quality assessment: from error visibility to
structural similarity", eq. 13).
"""

from __future__ import annotations

import torch
from torch.nn.functional import conv2d

from vartk_registry import VartkError

from .mean import MeanOverImages

_WINDOW = 11
_SIGMA = 1.5
_C1 = 0.01**2
_C2 = 0.03**2


class SSIM(MeanOverImages):
    """The mean of the SSIM map over positions and channels, for a data range of 1.

    The window is an 11x11 Gaussian of sigma 1.5, and it never leaves the image (no padding), as in
    the authors' implementation; the variances are weighted by it, without Bessel's correction.
    """

    name = "ssim"

    def score(self, images: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return the SSIM of each image, [B]; `VartkError` where one is smaller than the window."""
        if min(images.shape[-2:]) < _WINDOW:
            raise VartkError(
                f"ssim needs images of at least {_WINDOW}x{_WINDOW}, not {tuple(images.shape[-2:])}"
            )
        x, y = images, reference
        mean_x, mean_y = _blur(x), _blur(y)
        variance_x = _blur(x * x) - mean_x**2
        variance_y = _blur(y * y) - mean_y**2
        covariance = _blur(x * y) - mean_x * mean_y
        luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
        structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
        return (luminance * structure).mean(dim=(1, 2, 3))


def _blur(images: torch.Tensor) -> torch.Tensor:
    """Average each channel under the Gaussian window, one axis after the other."""
    offset = torch.arange(_WINDOW, dtype=images.dtype, device=images.device) - _WINDOW // 2
    weight = torch.exp(-(offset**2) / (2 * _SIGMA**2))
    weight = (weight / weight.sum()).expand(images.shape[1], 1, 1, _WINDOW)
    rows = conv2d(images, weight, groups=images.shape[1])
    return conv2d(rows, weight.mT, groups=images.shape[1])
