"""Self-correction: wrong codes among the coarser ones, and finer ones that make good for them.

A transformer that saw true codes alone takes what it draws for true, and a mistake at a coarse scale
stays. Here finer codes are those of what is left of the image after the wrong ones, so that it learns
to mend. After the bitwise self-correction of Infinity (arXiv 2412.04431, section 3.3), for codes of any
kind: the wrong ones are at random, as there, or codes of another image of the batch, which are likely ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from vartk_registry.interfaces import Schedule, Tokenizer

from ..codes import latents

Err = Callable[[int, torch.Tensor], torch.Tensor]
"""Returns the right codes [B, n, *shape] of a scale with mistakes."""


@torch.no_grad()
def with_mistakes(
    tokenizer: Tokenizer,
    codes: Sequence[torch.Tensor],
    schedule: Schedule,
    err: Err,
    latent: torch.Tensor | None = None,
) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
    """Return codes with mistakes, those that are right after them, and the latents that the former make.

    A transformer reads the former and learns to predict the right ones. The accumulated latents
    [B, channels, H, W] are those after each scale but the last.

    Args:
        codes: for each scale [B, n, *shape]. At scales after no mistake they are the right ones.
        err: makes the mistakes.
        latent: [B, channels, H, W], what the codes are of; if not given, what they stand for is taken, so
            that no image is needed.
    """
    if latent is None:
        *_, latent = latents(tokenizer, codes, schedule)
    astray = torch.zeros(len(latent), dtype=torch.bool, device=latent.device)
    given, right, made = [], [], []
    f_hat: torch.Tensor | None = None
    for step, true in enumerate(codes):
        if f_hat is not None:
            after = tokenizer.code(latent - f_hat, step, schedule)
            true = torch.where(_along(astray, true), after, true)
        right.append(true)
        given.append(err(step, true))
        astray |= (given[-1] != true).flatten(1).any(1)
        if step < len(codes) - 1:
            f_hat = tokenizer.accumulate(f_hat, tokenizer.embed(given[-1]), step, schedule)
            made.append(f_hat)
    return given, right, made


def exchanged(codes: Sequence[torch.Tensor], most: float) -> Err:
    """Return what exchanges integers for those of another image at the same place.

    The share that is exchanged is drawn for each image, uniformly from 0 to `most`.
    """
    batch, device = len(codes[0]), codes[0].device
    share = most * torch.rand(batch, device=device)
    other = torch.randperm(batch, device=device)

    def err(step: int, true: torch.Tensor) -> torch.Tensor:
        wrong = torch.rand(true.shape, device=device) < _along(share, true)
        return torch.where(wrong, codes[step][other], true)

    return err


def flipped(classes: int, most: float) -> Err:
    """Return what replaces integers by others at random: of two classes, what flips bits (Infinity).

    The share is drawn for each scale, uniformly from 0, 0.01, 0.02 and so on to `most`.
    """

    def err(step: int, true: torch.Tensor) -> torch.Tensor:
        share = torch.randint(round(100 * most) + 1, (), device=true.device) / 100
        wrong = torch.rand(true.shape, device=true.device) < share
        return torch.where(wrong, (true + torch.randint_like(true, 1, classes)) % classes, true)

    return err


def first_scales(err: Err, scales: int) -> Err:
    """Return what makes mistakes at the first scales alone."""
    return lambda step, true: err(step, true) if step < scales else true


def _along(of_B: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Return a value for each image in a shape that meets its codes [B, n, *shape]."""
    return of_B.view(-1, *[1] * (codes.ndim - 1))
