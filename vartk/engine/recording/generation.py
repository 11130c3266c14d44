"""A generation of a fixed number of images, recorded a step at a time."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vartk_registry.interfaces import Condition, Tokenizer, Transformer

from ..canvas import Canvas
from ..generate import Drawn, Recipe, Steps
from ..overflow import Overflow
from ..randomness import PerImageRandom
from ..scale import Decode, ScaleState
from .recorder import Recorder


class RecordedGeneration:
    """What a generation computes from its conditions and its random numbers.

    A step is a part of the recording. Between two parts a consumer may change the vectors.

    Args:
        condition, null, drafted: of any generation of this kind; their numbers do not matter.
        recipe: its random numbers are `PerImageRandom`.

    Attributes:
        busy: held while a generation plays.

    Raises:
        RuntimeError: a component does what cannot be recorded.
    """

    def __init__(
        self,
        recorder: Recorder,
        tokenizer: Tokenizer,
        transformer: Transformer,
        condition: Condition,
        null: Condition,
        recipe: Recipe,
        drafted: Sequence[ScaleState],
    ) -> None:
        self.busy = threading.Lock()
        self._recorder = recorder
        self._tokenizer = tokenizer
        self._transformer = transformer
        with torch.inference_mode(False), torch.no_grad():
            self._condition, self._null = condition.each(Tensor.clone), null.each(Tensor.clone)
            self._keys = recipe.random.keys.clone()
            self._given = [state.f_hat.clone() for state in drafted]
            # the recording reads what the recipe's parts hold, such as plans of attention
            self._recipe = replace(recipe, random=recipe.random.with_keys(self._keys))
            self._canvases: list[Canvas] = []
            self._drawn: list[Drawn | None] = []
            caching = torch.is_autocast_cache_enabled()
            # a weight that one part casts must not be taken from the cache by another
            torch.set_autocast_cache_enabled(False)
            try:
                for step in range(recipe.cache.steps(recipe.schedule)):
                    canvas, drawn = recorder.record(lambda step=step: self._compute(step))
                    self._canvases.append(canvas)
                    self._drawn.append(drawn)
            finally:
                torch.set_autocast_cache_enabled(caching)

    def nbytes(self) -> int:
        """Return the memory that the recording holds."""
        return self._recorder.nbytes()

    @torch.no_grad()
    def play(
        self,
        condition: Condition,
        null: Condition,
        random: PerImageRandom,
        drafted: Sequence[ScaleState],
        decode: Decode,
    ) -> Generator[ScaleState, None, None]:
        """Yield a generation of at most `batch` images step by step, as `generate` does.

        What is handed out is copied from the recording, which a later generation fills anew.

        Raises:
            VartkError: as `generate`.
        """
        with self._recorder.turn():
            yield from self._play(condition, null, random, drafted, decode)

    def _play(
        self,
        condition: Condition,
        null: Condition,
        random: PerImageRandom,
        drafted: Sequence[ScaleState],
        decode: Decode,
    ) -> Generator[ScaleState, None, None]:
        count, recipe = len(condition), self._recipe
        for static, given in ((self._condition, condition), (self._null, null)):
            for static_part, part in zip(static.parts, given.parts, strict=True):
                _fill(static_part, part)
        _fill(self._keys, random.keys)
        for latent, state in zip(self._given, drafted, strict=True):
            _fill(latent, state.f_hat)
        overflow = Overflow(len(recipe.schedule), self._keys.device, recipe.precision)
        shown = Canvas(self._tokenizer, recipe.schedule)
        for step, (canvas, drawn) in enumerate(zip(self._canvases, self._drawn, strict=True)):
            self._recorder.replay(step)
            if canvas.scales > shown.scales:
                f_hat = canvas.f_hat[:count].clone()
                shown = replace(shown, f_hat=f_hat, scales=canvas.scales, pending=())
            if drawn is None:
                continue
            overflow.take(self._steps.overflow)
            state = ScaleState(
                step,
                codes=drawn.codes[:count].clone(),
                vectors=drawn.vectors[:count].clone(),
                before=shown,
                cache_bytes=drawn.cache_bytes,
                decode=decode,
                overflow=overflow,
            )
            yield state
            drawn.vectors[:count].copy_(state.vectors)
            shown = replace(shown, pending=(*shown.pending, state.vectors))
        overflow.check()

    def _compute(self, step: int) -> tuple[Canvas, Drawn | None]:
        """Compute a step; return what the steps before have made, and what was drawn."""
        recipe, drafted = self._recipe, len(self._given)
        canvas = Canvas(self._tokenizer, recipe.schedule)
        if step == 0:
            self._steps = Steps(
                self._tokenizer, self._transformer, self._condition, self._null, recipe, drafted
            )
        elif step <= drafted:
            canvas = replace(canvas, f_hat=self._given[step - 1], scales=step)
        else:
            canvas = self._canvases[step - 1].added(self._drawn[step - 1].vectors)
        return canvas, self._steps(step, canvas)


def _fill(static: Tensor | None, given: Tensor | None) -> None:
    """Copy rows into a static tensor; where there are fewer, the last one fills the rest."""
    if static is None or given is None:
        return
    static[: len(given)] = given
    if len(given) < len(static):
        static[len(given) :] = given[-1:]
