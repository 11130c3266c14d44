"""What follows from codes alone, for any tokenizer: the latent, and the transformer's inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import CodeSpace, Schedule, Tokenizer


def latents(
    tokenizer: Tokenizer, codes: Sequence[torch.Tensor], schedule: Schedule
) -> Iterator[torch.Tensor]:
    """Yield the accumulated latent [B, channels, H, W] after each scale's codes."""
    f_hat = None
    for scale, code in enumerate(codes):
        f_hat = tokenizer.accumulate(f_hat, tokenizer.embed(code), scale, schedule.scales)
        yield f_hat


@torch.no_grad()
def teacher_inputs(
    tokenizer: Tokenizer,
    codes: Sequence[torch.Tensor],
    schedule: Schedule,
    made: Iterable[torch.Tensor] | None = None,
) -> torch.Tensor:
    """Return the inputs [B, L - n_0, channels] that the codes of all steps but the last make.

    In raster order they are the codes' vectors.

    Args:
        codes: for each scale [B, h*w, *shape].
        made: the accumulated latents after each scale but the last, where they are known already.
    """
    if schedule.raster:
        return tokenizer.embed(torch.cat(list(codes), dim=1)[:, :-1])
    made = latents(tokenizer, codes[:-1], schedule) if made is None else made
    inputs = [tokenizer.next_input(f_hat, step, schedule) for step, f_hat in enumerate(made, 1)]
    if inputs:
        return torch.cat(inputs, dim=1)
    return torch.empty(len(codes[0]), 0, tokenizer.channels, device=codes[0].device)


def split(codes: torch.Tensor, schedule: Schedule) -> list[torch.Tensor]:
    """Return a sequence of codes [B, L, *shape] as one tensor a scale."""
    return list(codes.split(list(schedule.scales.sizes), dim=1))


def by_scale(steps: Sequence[torch.Tensor], schedule: Schedule) -> list[torch.Tensor]:
    """Return the codes [B, n, *shape] of a generation's steps as one tensor for each scale, on the CPU."""
    codes, sizes = torch.cat(list(steps), dim=1).cpu(), schedule.scales.sizes
    stops = [0, *accumulate(sizes)]
    return list(codes.split(sizes[: stops.index(codes.shape[1])], dim=1))


def check_codes(codes: Sequence[torch.Tensor], schedule: Schedule, space: CodeSpace) -> None:
    """Check that codes are those of the first scales of a schedule.

    Raises:
        VartkError: a scale has another number of codes, or they are not of the space.
    """
    shapes = [tuple(code.shape) for code in codes]
    wanted = [(*shapes[0][:1], size, *space.shape) for size in schedule.scales.sizes] if shapes else []
    if not shapes or shapes != wanted[: len(shapes)]:
        raise VartkError(
            f"codes of shapes {shapes} do not fit the schedule {schedule}; each scale has "
            f"[N, tokens{''.join(f', {n}' for n in space.shape)}], tokens = {list(schedule.scales.sizes)}"
        )
    for step, code in enumerate(codes):
        if code.is_floating_point() or (code.numel() and not 0 <= code.min() <= code.max() < space.classes):
            raise VartkError(f"the codes of scale {step} are not integers from 0 to {space.classes - 1}")
