"""Checks of schedules, guidance and samplers."""

from __future__ import annotations

import math
from itertools import pairwise

import torch

from ..interfaces import CodeSpace, Draw, Grid, Guidance, Sampler, Schedule, ScheduleFactory
from .rules import require, require_close, require_codes, require_shape


class SeededRandom:
    """Randomness of one CPU generator, for checking a sampler without the engine."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def categorical(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Draw indices [B, ...] from probabilities [B, ..., V]."""
        rows = probabilities.reshape(-1, probabilities.shape[-1])
        drawn = torch.multinomial(rows, 1, replacement=True, generator=self.generator)
        return drawn.reshape(probabilities.shape[:-1])

    def exponential(self, like: torch.Tensor) -> torch.Tensor:
        """Draw Exponential(1) numbers in the shape of `like`."""
        return torch.empty_like(like).exponential_(generator=self.generator)


def check_schedule(factory: ScheduleFactory, latent: Grid) -> None:
    """Check a schedule factory on a latent grid that it should fit."""
    schedule = factory(latent)
    require(isinstance(schedule, Schedule), f"it must return a Schedule, not {schedule!r}")
    require(
        all(type(side) is int for grid in schedule.grids for side in grid),
        f"the sides of grids must be int: {schedule.grids}",
    )
    require(
        schedule.latent == latent,
        f"a schedule must end at the latent grid {latent}, not at {schedule.latent}",
    )
    for coarse, fine in pairwise(schedule.grids):
        require(
            coarse[0] <= fine[0] and coarse[1] <= fine[1],
            f"grids must run coarse to fine, but {coarse} comes before {fine}",
        )
    require(factory(latent) == schedule, "the same latent must always give the same schedule")


def check_guidance(guidance: Guidance) -> None:
    """Check guidance on schedules of 1, 2 and 10 scales."""
    for steps in (1, 2, 10):
        for step in range(steps):
            weight = guidance.weight(step, steps)
            require(
                isinstance(weight, (int, float)) and math.isfinite(weight),
                f"weight({step}, {steps}) must be a finite number, not {weight!r}",
            )
    generator = torch.Generator().manual_seed(0)
    conditional = torch.randn(2, 3, 5, generator=generator)
    null = torch.randn(2, 3, 5, generator=generator)
    given = conditional.clone(), null.clone()
    require_shape("mixed logits", guidance.mix(conditional, null, 1.5), conditional.shape)
    require_close(
        "weight 0 must mean the conditional logits alone",
        guidance.mix(conditional, null, 0.0),
        conditional,
    )
    require(
        torch.equal(conditional, given[0]) and torch.equal(null, given[1]),
        "mix must leave the logits it is given as they are",
    )


def check_sampler(sampler: Sampler) -> None:
    """Check a sampler on plain codes and on codes of several parts."""
    for space in (CodeSpace(8), CodeSpace(2, (3,))):
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(2, 4, *space.logits_shape, generator=generator)
        for step, steps in ((0, 1), (0, 3), (1, 3), (2, 3)):
            _check_draw(sampler, logits, step, steps, space)
        certain = torch.randint(space.classes, (2, 4, *space.shape), generator=generator)
        peaked = torch.nn.functional.one_hot(certain, space.classes) * 1e4
        require(
            torch.equal(sampler(peaked, 0, 3, SeededRandom()).codes, certain),
            "a code whose logit is far above all others must be drawn",
        )


def _check_draw(sampler: Sampler, logits: torch.Tensor, step: int, steps: int, space: CodeSpace) -> None:
    given = logits.clone()
    draw = sampler(logits, step, steps, SeededRandom())
    require(isinstance(draw, Draw), f"a sampler must return a Draw, not {draw!r}")
    require(torch.equal(logits, given), "a sampler must leave the logits it is given as they are")
    require_codes("drawn codes", draw.codes, logits.shape[:2], space)
    again = sampler(logits, step, steps, SeededRandom())
    require(
        torch.equal(draw.codes, again.codes),
        "all randomness must come from `random`: the same numbers must give the same codes",
    )
    if draw.weights is not None:
        require_shape("weights", draw.weights, logits.shape)
        require(bool((draw.weights >= 0).all()), "weights must not be negative")
        sums = draw.weights.sum(dim=-1)
        require_close("weights must sum to 1 over the classes", sums, torch.ones_like(sums))
