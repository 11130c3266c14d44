"""How the decoder's gradient passes the quantisation of a latent.

Legend: B batch, C channels, H and W the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.nn import functional as F

_SMALLEST = 1e-6
"""Vectors that are shorter than this have no direction."""


def straight(features: torch.Tensor, f_hat: torch.Tensor) -> torch.Tensor:
    """Return f_hat; its gradient is that of the features (straight-through, arXiv 1308.3432)."""
    return features + (f_hat - features).detach()


def rotated(features_BCHW: torch.Tensor, f_hat_BCHW: torch.Tensor) -> torch.Tensor:
    """Return f_hat; its gradient is rotated and rescaled on its way to the features (arXiv 2410.06424).

    The rotation R takes the direction of the features at a position to that of f_hat, in the plane of both;
    s is the ratio of their lengths, so that f_hat = s R features. R and s are constants: a gradient g becomes
    s R^T g, whose angle to the features is that of g to f_hat.
    """
    f_hat_BCHW = f_hat_BCHW.detach()
    from_BCHW, from_length = _unit(features_BCHW.detach())
    to_BCHW, to_length = _unit(f_hat_BCHW)
    middle_BCHW, _ = _unit(from_BCHW + to_BCHW)
    turned_BCHW = (
        features_BCHW
        - 2 * middle_BCHW * _product(middle_BCHW, features_BCHW)
        + 2 * to_BCHW * _product(from_BCHW, features_BCHW)
    )
    passing_BCHW = to_length / from_length * turned_BCHW
    return f_hat_BCHW + (passing_BCHW - passing_BCHW.detach())


STRAIGHT = "straight"
GRADIENTS: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    STRAIGHT: straight,
    "rotation": rotated,
}
"""Functions of (features, f_hat) by the values of `tokenizer.gradient`."""


def _unit(map_BCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the directions of vectors, and their lengths [B, 1, H, W]."""
    length_B1HW = map_BCHW.norm(dim=1, keepdim=True).clamp_min(_SMALLEST)
    return F.normalize(map_BCHW, dim=1, eps=_SMALLEST), length_B1HW


def _product(a_BCHW: torch.Tensor, b_BCHW: torch.Tensor) -> torch.Tensor:
    return (a_BCHW * b_BCHW).sum(dim=1, keepdim=True)
