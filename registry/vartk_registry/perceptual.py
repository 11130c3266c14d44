"""The perceptual distance of images by a network's maps.

Legend: B batch, C channels, h and w a map's grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def map_distance(
    maps: Callable[[torch.Tensor], Iterable[torch.Tensor]], images: torch.Tensor, reference: torch.Tensor
) -> torch.Tensor:
    """Return the distance [B], from 0 to 4, of images to their reference; gradients flow to `images`.

    As in LPIPS (Zhang et al. 2018, arXiv 1801.03924, eq. 1) without learned weights: the squared
    difference of unit vectors at each position, as a mean over positions, then over the maps.

    Args:
        maps: returns a network's maps [B, C, h, w] of images, always as many.
    """
    import torch
    from torch.nn.functional import normalize

    with torch.no_grad():
        wanted = [normalize(found, dim=1) for found in maps(reference)]
    pairs = zip(maps(images), wanted, strict=True)
    return torch.stack([(normalize(a, dim=1) - b).square().sum(1).mean((1, 2)) for a, b in pairs]).mean(0)
