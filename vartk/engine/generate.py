"""The one generation loop: a generator that yields each scale, which every task consumes."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch

from vartk_registry.interfaces import (
    Attend,
    CacheStrategy,
    Condition,
    Draw,
    Guidance,
    Sampler,
    Schedule,
    Tokenizer,
    Transformer,
)

from .inference.decoding import decoded
from .inference.precision import PRECISIONS, Precision
from .overflow import Overflow
from .randomness import GenerationRandom


@dataclass(frozen=True, slots=True)
class Recipe:
    """The parts that decide how a generation runs."""

    schedule: Schedule
    guidance: Guidance
    sampler: Sampler
    cache: CacheStrategy
    attend: Attend
    random: GenerationRandom
    precision: Precision = PRECISIONS["plain"]

    @property
    def guided_steps(self) -> int:
        """The number of scales, from the first, for which the null branch is computed.

        A scale without guidance still needs it where a later one has some: its keys are attended to.
        """
        steps = len(self.schedule)
        generated = range(self.cache.steps(self.schedule))
        guided = [step for step in generated if self.guidance.weight(step, steps) != 0]
        return guided[-1] + 1 if guided else 0


class ScaleState:
    """One scale of a generation, after its draw and before the next scale's input is made.

    Attributes:
        step: the scale's index.
        codes: [B, n, *shape], as drawn.
        vectors: [B, n, channels], what is added to the image; assign to it to edit the generation.
        cache_bytes: what the cache holds after this scale, for both halves of guidance.
    """

    def __init__(
        self,
        step: int,
        draw: Draw,
        before: torch.Tensor | None,
        tokenizer: Tokenizer,
        schedule: Schedule,
        precision: Precision,
        cache_bytes: int,
        overflow: Overflow,
    ) -> None:
        self.step = step
        self.schedule = schedule
        self.cache_bytes = cache_bytes
        self.codes = draw.codes
        self._tokenizer = tokenizer
        self._precision = precision
        self._before = before
        self._overflow = overflow
        self._f_hat: torch.Tensor | None = None
        if draw.weights is None:
            self._vectors = tokenizer.embed(draw.codes)
        else:
            self._vectors = tokenizer.mix(draw.weights)

    @property
    def vectors(self) -> torch.Tensor:
        """[B, n, channels], what this scale adds to the image."""
        return self._vectors

    @vectors.setter
    def vectors(self, vectors: torch.Tensor) -> None:
        self._vectors = vectors
        self._f_hat = None

    @property
    @torch.no_grad()
    def f_hat(self) -> torch.Tensor:
        """[B, channels, H, W], the accumulated latent with this scale."""
        if self._f_hat is None:
            self._f_hat = self._tokenizer.accumulate(self._before, self._vectors, self.step, self.schedule)
        return self._f_hat

    @property
    @torch.no_grad()
    def images(self) -> torch.Tensor:
        """[B, 3, H, W] in [0, 1], the images made so far; decoded at each access.

        Raises:
            VartkError: they, or the logits of a scale, are not finite.
        """
        images = (decoded(self._tokenizer, self.f_hat, self._precision) + 1) / 2
        self._overflow.watch_images(images)
        self._overflow.check()
        return images


@torch.no_grad()
def generate(
    tokenizer: Tokenizer,
    transformer: Transformer,
    condition: Condition,
    null: Condition,
    recipe: Recipe,
    drafted: Sequence[ScaleState] = (),
) -> Generator[ScaleState, None, None]:
    """Yield a generation scale by scale.

    The consumer may assign a state's `vectors` before it asks for the next scale. `condition` and `null`
    have one entry an image; with guidance they run as one batch, conditional half first.

    `drafted` are the first scales, as another transformer has drawn them; this one takes them in, through
    its cache, and yields those that follow.

    Raises:
        VartkError: the logits of a scale are not finite. It is raised when an image is decoded, or at the
            end: a check at each scale would have to wait for the device.
    """
    schedule, steps, batch = recipe.schedule, len(recipe.schedule), len(condition)
    generated = recipe.cache.steps(schedule)
    guided_steps = recipe.guided_steps
    if guided_steps <= len(drafted):  # no scale that is left to draw is guided
        guided_steps = 0
    if guided_steps:
        condition = _concatenated(condition, null)
    device = condition.vector.device
    with recipe.precision.autocast(device):
        session = transformer.begin(condition, schedule, recipe.cache, recipe.attend)
    overflow = Overflow(steps, device, recipe.precision)
    inputs: torch.Tensor | None = None
    f_hat: torch.Tensor | None = None
    for step in range(generated):
        guided = step < guided_steps
        if guided_steps and step == guided_steps:
            session.narrow(batch)
        if inputs is not None and guided:
            inputs = torch.cat((inputs, inputs))
        with recipe.precision.autocast(device):
            logits = session.step(inputs).float()
        if step < len(drafted):
            state = drafted[step]
        else:
            if guided:
                conditional, unconditional = logits.split(batch)
                weight = recipe.guidance.weight(step, steps)
                logits = recipe.guidance.mix(conditional, unconditional, weight)
            overflow.watch_logits(step, logits)
            draw = recipe.sampler(logits, step, steps, recipe.random.at(step))
            held = session.cache.nbytes()
            state = ScaleState(step, draw, f_hat, tokenizer, schedule, recipe.precision, held, overflow)
            yield state
        f_hat = state.f_hat
        if step + 1 < generated:
            inputs = tokenizer.next_input(f_hat, step + 1, schedule)
    overflow.check()


def _concatenated(condition: Condition, null: Condition) -> Condition:
    def joined(a: torch.Tensor | None, b: torch.Tensor | None) -> torch.Tensor | None:
        return None if a is None or b is None else torch.cat((a, b))

    vector = torch.cat((condition.vector, null.vector))
    tokens = joined(condition.tokens, null.tokens)
    return Condition(vector, tokens, joined(condition.lengths, null.lengths))
