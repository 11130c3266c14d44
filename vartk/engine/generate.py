"""The one generation loop: a generator that yields each step, which every task consumes."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from vartk_registry import Unsupported, VartkError
from vartk_registry.interfaces import (
    Attend,
    CacheStrategy,
    Condition,
    DrawingStrategy,
    Guidance,
    GuidedSession,
    LayerGuidance,
    Sampler,
    Schedule,
    Tokenizer,
    Transformer,
)

from .branches import Branches
from .canvas import Canvas
from .conditions import concatenated
from .diversity import Diversity
from .inference.decoding import decoded
from .inference.precision import PRECISIONS, Precision
from .overflow import Overflow
from .randomness import GenerationRandom
from .scale import ScaleState


@dataclass(frozen=True, slots=True)
class Recipe:
    """The parts that decide how a generation runs.

    Raises:
        VartkError: the cache leaves out steps that are codes of the image (raster order).
    """

    schedule: Schedule
    guidance: Guidance
    sampler: Sampler
    cache: CacheStrategy
    attend: Attend
    random: GenerationRandom
    precision: Precision = PRECISIONS["plain"]
    diversity: Diversity | None = None
    tile: int | None = None
    """The side of the squares, in pixels, in which images are decoded; None for whole ones."""

    def __post_init__(self) -> None:
        if self.schedule.raster and self.cache.steps(self.schedule) < len(self.schedule):
            raise VartkError(
                "the cache leaves out the last steps, which here are codes of the image (raster order); take "
                "another cache, such as cache=full"
            )


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a step drew.

    Attributes:
        codes: [B, n, *shape].
        vectors: [B, n, channels], which the codes, or their mix, stand for.
        cache_bytes: what the cache holds after this step.
    """

    codes: torch.Tensor
    vectors: torch.Tensor
    cache_bytes: int


class Steps:
    """The computations of a generation, a step at a time; none waits for the device.

    Args:
        condition, null: one entry an image; with guidance they run as one batch, the branch that goes on
            longer as the first half.
        drafted: how many scales, from the first, another transformer draws.

    Attributes:
        overflow: watches the logits.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        transformer: Transformer,
        condition: Condition,
        null: Condition,
        recipe: Recipe,
        drafted: int,
    ) -> None:
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._drafted = drafted
        self._batch = len(condition)
        self._branches = Branches.of(recipe.guidance, recipe.cache, recipe.schedule, drafted)
        if self._branches.null_goes_on:
            condition, null = null, condition
        if self._branches.both:
            condition = concatenated(condition, null)
        self._device = condition.vector.device
        cache = recipe.cache
        if isinstance(cache, DrawingStrategy):
            cache = cache.seeded(recipe.random.beside)
        if recipe.diversity is not None:
            cache = recipe.diversity.around(cache)
        self.overflow = Overflow(len(recipe.schedule), self._device, recipe.precision)
        with recipe.precision.autocast(self._device):
            self._session = transformer.begin(condition, recipe.schedule, cache, recipe.attend)

    def __call__(self, step: int, canvas: Canvas) -> Drawn | None:
        """Compute a step from what the steps before have made; None if it is drafted."""
        recipe, batch = self._recipe, self._batch
        guided = step < self._branches.both
        if step and step == self._branches.both:
            self._session.narrow(batch)
        inputs = canvas.next_input()
        if guided and inputs is not None:
            inputs = torch.cat((inputs, inputs))
        logits = self._logits(step, inputs, guided)
        if step < self._drafted:
            return None
        steps = len(recipe.schedule)
        self.overflow.watch_logits(step, logits)
        draw = recipe.sampler(logits, step, steps, recipe.random.at(step))
        if draw.weights is None:
            vectors = self._tokenizer.embed(draw.codes)
        else:
            vectors = self._tokenizer.mix(draw.weights)
        return Drawn(draw.codes, vectors, self._session.cache.nbytes())

    def _logits(self, step: int, inputs: torch.Tensor | None, guided: bool) -> torch.Tensor:
        """Return the logits [B, n, *shape, classes] of a step, fp32, mixed where it is guided."""
        guidance, session = self._recipe.guidance, self._session
        layer = guidance.layer if isinstance(guidance, LayerGuidance) else 0
        with self._recipe.precision.autocast(self._device):
            if not guided:
                return session.step(inputs).float()
            mix = partial(self._mix, self._branches.weights[step])
            if not layer:
                logits = session.step(inputs).float()
                return mix(*logits.split(self._batch))
            if not isinstance(session, GuidedSession):
                raise Unsupported(
                    f"guidance.layer={layer}: this transformer cannot mix the halves of guidance between its "
                    "blocks; take guidance.layer=0"
                )
            return session.guided_step(inputs, layer, mix)[: self._batch].float()

    def _mix(self, weight: float, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return what guidance makes of the two halves of the batch."""
        if self._branches.null_goes_on:
            first, second = second, first
        return self._recipe.guidance.mix(first, second, weight)


@torch.no_grad()
def generate(
    tokenizer: Tokenizer,
    transformer: Transformer,
    condition: Condition,
    null: Condition,
    recipe: Recipe,
    drafted: Sequence[ScaleState] = (),
    unrecorded: str = "",
) -> Generator[ScaleState, None, None]:
    """Yield a generation step by step: scales or, in raster order, tokens.

    The consumer may assign a state's `vectors` before it asks for the next step.

    Args:
        condition, null: as for `Steps`.
        drafted: the first scales, as another transformer has drawn them; this one takes them in, through
            its cache, and yields those that follow.
        unrecorded: for the states.

    Raises:
        VartkError: the logits of a step are not finite. It is raised when an image is decoded, or at the
            end: a check at each step would have to wait for the device.
    """
    compute = Steps(tokenizer, transformer, condition, null, recipe, len(drafted))
    canvas = Canvas(tokenizer, recipe.schedule)
    for step in range(recipe.cache.steps(recipe.schedule)):
        drawn = compute(step, canvas)
        if drawn is None:
            canvas = replace(drafted[step].after, tokenizer=tokenizer)
            continue
        state = ScaleState(
            step,
            codes=drawn.codes,
            vectors=drawn.vectors,
            before=canvas,
            cache_bytes=drawn.cache_bytes,
            decode=partial(decoded, tokenizer, precision=recipe.precision, tile=recipe.tile),
            overflow=compute.overflow,
            unrecorded=unrecorded,
        )
        yield state
        canvas = state.after
    compute.overflow.check()
