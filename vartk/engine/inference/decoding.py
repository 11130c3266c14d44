"""Decodes latents, a few images at a time."""

from __future__ import annotations

import torch

from vartk_registry.interfaces import Tokenizer

from .precision import Precision

CELLS = 4096
"""Cells of latents decoded or encoded at once: those of an image of 1024 pixels at a stride of 16."""


def decoded(tokenizer: Tokenizer, f_hat: torch.Tensor, precision: Precision) -> torch.Tensor:
    """Return the images [N, 3, H, W] in [-1, 1] of latents [N, C, h, w].

    A decoder's memory grows with the pixels; this bounds it at one large image, or several small ones.
    """
    with precision.autocast(f_hat.device):
        return torch.cat([tokenizer.decode(part) for part in f_hat.split(at_once(f_hat))])


def at_once(f_hat: torch.Tensor) -> int:
    """Return how many latents are decoded at once; a CPU takes them one by one, which costs it no time."""
    return 1 if f_hat.device.type == "cpu" else max(1, CELLS // f_hat[0, 0].numel())
