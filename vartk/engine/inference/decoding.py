"""Decodes latents, a few images at a time."""

from __future__ import annotations

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import TilingTokenizer, Tokenizer

from .precision import Precision

CELLS = 4096
"""Cells of latents decoded or encoded at once: those of an image of 1024 pixels at a stride of 16."""


def decoded(
    tokenizer: Tokenizer, f_hat: torch.Tensor, precision: Precision, tile: int | None = None
) -> torch.Tensor:
    """Return the images [N, 3, H, W] in [-1, 1] of latents [N, C, h, w].

    A decoder's memory grows with the pixels; this bounds it at one large image, or several small ones.

    Args:
        tile: the side of the squares, in pixels, in which each image is decoded; None decodes it whole.

    Raises:
        VartkError: this tokenizer cannot decode in tiles.
    """
    with precision.autocast(f_hat.device):
        if checked_tile(tokenizer, tile) is None:
            return torch.cat([tokenizer.decode(part) for part in f_hat.split(at_once(f_hat))])
        return torch.cat([tokenizer.decode_tiled(part, tile) for part in f_hat.split(1)])  # type: ignore[attr-defined]


def checked_tile(tokenizer: Tokenizer, tile: int | None) -> int | None:
    """Return the side of the tiles to decode in, None for whole images.

    Raises:
        VartkError: this tokenizer cannot decode in tiles.
    """
    if tile is not None and not isinstance(tokenizer, TilingTokenizer):
        raise VartkError("this tokenizer cannot decode in tiles; leave decode_tile out")
    return tile


def at_once(f_hat: torch.Tensor) -> int:
    """Return how many latents are decoded at once; a CPU takes them one by one, which costs it no time."""
    return 1 if f_hat.device.type == "cpu" else max(1, CELLS // f_hat[0, 0].numel())
