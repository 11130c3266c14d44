"""What follows from codes alone, for any tokenizer: the latent, and the transformer's inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from vartk_registry.interfaces import Schedule, Tokenizer


def latents(
    tokenizer: Tokenizer, codes: Sequence[torch.Tensor], schedule: Schedule
) -> Iterator[torch.Tensor]:
    """Yield the accumulated latent [B, channels, H, W] after each scale's codes."""
    f_hat = None
    for step, code in enumerate(codes):
        f_hat = tokenizer.accumulate(f_hat, tokenizer.embed(code), step, schedule)
        yield f_hat


@torch.no_grad()
def teacher_inputs(tokenizer: Tokenizer, codes: Sequence[torch.Tensor], schedule: Schedule) -> torch.Tensor:
    """Return the inputs [B, L - n_0, channels] that the codes of all scales but the last make."""
    made = latents(tokenizer, codes[:-1], schedule)
    inputs = [tokenizer.next_input(f_hat, step, schedule) for step, f_hat in enumerate(made, 1)]
    if inputs:
        return torch.cat(inputs, dim=1)
    return torch.empty(len(codes[0]), 0, tokenizer.channels, device=codes[0].device)


def split(codes: torch.Tensor, schedule: Schedule) -> list[torch.Tensor]:
    """Return a sequence of codes [B, L, *shape] as one tensor a scale."""
    return list(codes.split(list(schedule.sizes), dim=1))
