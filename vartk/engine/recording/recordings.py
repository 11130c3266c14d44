"""Generations and decoding by recordings, where there can be some."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from torch import Tensor

from vartk_registry import VartkError
from vartk_registry.interfaces import Condition, Tokenizer, Transformer

from ...config import SamplingConfig, plain
from ..generate import Recipe, generate
from ..inference.decoding import at_once, decoded
from ..inference.precision import Precision
from ..randomness import PerImageRandom
from ..scale import ScaleState
from .decoder import RecordedDecoder
from .generation import RecordedGeneration
from .store import Store

log = logging.getLogger(__name__)

KINDS = 64
"""Kinds of generations that are remembered as prepared."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a recorded generation was made for.

    Attributes:
        settings: those of sampling.
        schedule: the grids.
        drafted: the scales that another transformer draws.
        condition: the shapes of one image's condition, and of its null one.
        batch: images.
    """

    settings: Hashable
    schedule: Hashable
    drafted: int
    condition: Hashable
    batch: int

    def fits(self, other: Key) -> bool:
        """Return whether a recording of another batch has room for this one."""
        return self.batch <= other.batch and self == replace(other, batch=self.batch)


class Recordings:
    """The recordings of a model's modules.

    A first generation of a kind, with its batch and its settings, runs as it is. It prepares all that must
    not be prepared in a recording: compiled kernels, plans of attention. The second one is recorded. A
    first smaller batch, such as the last of many, fills up a recording of a larger one.

    Args:
        tokenizer, transformer, precision: for inference.
        device: where they are.
        limit: the most bytes of the generations' recordings, and of the decoders'; as for `Store`.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        transformer: Transformer | None,
        precision: Precision,
        device: torch.device,
        limit: int | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._transformer = transformer
        self._precision = precision
        self._generations = Store(device, limit)
        self._decoders = Store(device, limit)
        self._prepared: OrderedDict[Hashable, Recipe] = OrderedDict()
        self._filled_up: set[Hashable] = set()
        self._decoded: set[Hashable] = set()

    def generate(
        self,
        condition: Condition,
        null: Condition,
        recipe: Recipe,
        drafted: Sequence[ScaleState],
        settings: Hashable | None,
        *,
        always: bool = False,
    ) -> Generator[ScaleState, None, None]:
        """Yield a generation scale by scale, by a recording if there can be one; see `generate.generate`.

        Args:
            settings: what, beside the other arguments' shapes, determines the computations; None if no
                value stands for it.
            always: prepare and record a first generation at once.

        Raises:
            VartkError: as `generate`; or with `always` there can be no recording.
        """
        run = partial(generate, self._tokenizer, self._transformer, condition, null, recipe, drafted)
        recording, reason = None, ""
        if settings is None:
            reason = "a cache strategy was given as an object, and another object may compute otherwise"
        elif not isinstance(recipe.random, PerImageRandom):
            reason = "random=shared draws from a generator"
        else:
            shapes = _shapes(condition), _shapes(null)
            key = Key(settings, recipe.schedule.grids, len(drafted), shapes, len(condition))
            recording = self._found(key, condition, null, recipe, drafted, run if always else None)
            reason = self._generations.refusal(key)
        if always and reason:
            raise VartkError(f"record=always: the generation cannot be recorded: {reason}; take record=auto")
        if reason:
            _report(reason)
        if recording is None:
            yield from run(unrecorded=reason)
        elif recording.busy.acquire(blocking=False):
            try:
                decode = self.decode if recipe.tile is None else partial(self.decode_tiled, tile=recipe.tile)
                yield from recording.play(condition, null, recipe.random, drafted, decode)
            finally:
                recording.busy.release()
        else:
            yield from run(unrecorded="another generation is using the recording")

    @property
    def kept(self) -> dict[Key, int]:
        """The bytes of each recorded generation, the least recently used one first."""
        return self._generations.nbytes()

    def decode(self, f_hat: Tensor) -> Tensor:
        """Return the images [N, 3, H, W] in [-1, 1] of latents; by a recording if all fit at once."""
        plain = partial(decoded, self._tokenizer, precision=self._precision)
        key = f_hat.shape, f_hat.dtype
        first = key not in self._decoded
        self._decoded.add(key)
        if first or len(f_hat) > at_once(f_hat):
            return plain(f_hat)
        recording = self._decoders.find(key)
        if recording is None and not self._decoders.refusal(key):
            recording = self._decoders.make(key, lambda recorder: RecordedDecoder(recorder, plain, f_hat))
        return plain(f_hat) if recording is None else recording(f_hat)

    def decode_tiled(self, f_hat: Tensor, tile: int) -> Tensor:
        """Return the images of latents, decoded in tiles and not recorded."""
        return decoded(self._tokenizer, f_hat, self._precision, tile)

    def _found(
        self,
        key: Key,
        condition: Condition,
        null: Condition,
        recipe: Recipe,
        drafted: Sequence[ScaleState],
        prepare: Callable[[], Generator[ScaleState, None, None]] | None,
    ) -> RecordedGeneration | None:
        """Return the recording to play, made where it is time for that; None to run without."""
        recording = self._generations.find(key)
        if recording is not None or self._generations.refusal(key):
            return recording
        if key not in self._prepared:
            larger = [other for other in self.kept if key.fits(other)]
            if prepare is None and larger and key not in self._filled_up:
                self._filled_up.add(key)
                return self._generations.find(min(larger, key=lambda other: other.batch))
            self._prepared[key] = recipe
            if len(self._prepared) > KINDS:
                self._prepared.popitem(last=False)
            if prepare is None:
                return None
            for _ in prepare():
                pass
        # the parts that ran have their plans already
        prepared = self._prepared.pop(key)
        return self._generations.make(
            key,
            lambda recorder: RecordedGeneration(
                recorder, self._tokenizer, self._transformer, condition, null, prepared, drafted
            ),
        )


@cache
def _report(reason: str) -> None:
    """Log a reason once a process, not for every batch."""
    log.info("sampling without a recording: %s", reason)


def _shapes(condition: Condition) -> Hashable:
    """Return the shape and the type of each part of one image's condition."""
    return tuple(None if part is None else (part.shape[1:], part.dtype) for part in condition.parts)


def recorded_settings(sampling: SamplingConfig, device: torch.device) -> Hashable:
    """Return what of the settings, and of the autocast around them, determines the computations."""
    settings = {key: value for key, value in plain(sampling).items() if key not in ("batch", "record")}
    return repr(settings), torch.is_autocast_enabled(device.type), torch.get_autocast_dtype(device.type)
