"""Self-correction: wrong codes among the coarser ones, and finer ones that make good for them.

A transformer that saw true codes alone takes what it draws for true, and a mistake at a coarse scale
stays. Here finer codes are those of what is left of the image after the wrong ones, so that it learns
to mend. After the bitwise self-correction of Infinity (arXiv 2412.04431, section 3.3), for codes of any
kind: in the place of random bits, codes of another image of the batch, which are likely ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vartk_registry.interfaces import Schedule, Tokenizer

from ..codes import latents


@torch.no_grad()
def with_mistakes(
    tokenizer: Tokenizer, codes: Sequence[torch.Tensor], schedule: Schedule, most: float
) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
    """Return codes with mistakes, those that are right after them, and the latents that the former make.

    A transformer reads the former and learns to predict the right ones. The accumulated latents
    [B, channels, H, W] are those after each scale but the last.

    Args:
        codes: for each scale [B, n, *shape]. What they stand for is taken for the image's latent, so
            that no image is needed.
        most: the share of an image's integers that are exchanged for those of another image at the same
            place is drawn uniformly from 0 to this. At scales after none, the right codes are the given ones.
    """
    *_, latent = latents(tokenizer, codes, schedule)
    batch, device = len(latent), latent.device
    share = most * torch.rand(batch, device=device)
    other = torch.randperm(batch, device=device)
    astray = torch.zeros(batch, dtype=torch.bool, device=device)
    given, right, made = [], [], []
    f_hat: torch.Tensor | None = None
    for step, true in enumerate(codes):
        if f_hat is not None:
            after = tokenizer.code(latent - f_hat, step, schedule)
            true = torch.where(_along(astray, true), after, true)
        right.append(true)
        wrong = torch.rand(true.shape, device=device) < _along(share, true)
        given.append(torch.where(wrong, codes[step][other], true))
        astray |= (given[-1] != true).flatten(1).any(1)
        if step < len(codes) - 1:
            f_hat = tokenizer.accumulate(f_hat, tokenizer.embed(given[-1]), step, schedule)
            made.append(f_hat)
    return given, right, made


def _along(of_B: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Return a value for each image in a shape that meets its codes [B, n, *shape]."""
    return of_B.view(-1, *[1] * (codes.ndim - 1))
