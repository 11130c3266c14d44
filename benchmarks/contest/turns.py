"""Times and memory of two codes that take turns on one device."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from vartk.bench.timing import Spread, finish, spread
from vartk_registry import VartkError

WARM_UPS = 3
"""Calls before the first that counts; the first of them is the cold one."""


class Contestant(Protocol):
    """One of the codes, with a model on a device."""

    name: str

    def sampler(self, batch: int) -> Callable[[], Tensor]:
        """Return a function that samples a batch, and returns images [batch, 3, H, W] on the device."""
        ...

    def trainer(self, batch: int) -> Callable[[], Tensor]:
        """Return a function that does a training step on codes, and returns its loss."""
        ...


@dataclass(slots=True)
class Held:
    """What one code holds on a GPU, told from what the other one holds.

    Attributes:
        bytes: allocated now, weights included.
        peak: the most that it had allocated since `peak` was last set to 0.
    """

    device: torch.device
    bytes: int = 0
    peak: int = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count what is allocated and freed inside as this code's."""
        if self.device.type != "cuda":
            yield
            return
        before = torch.cuda.memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        try:
            yield
        finally:
            others = before - self.bytes
            self.peak = max(self.peak, torch.cuda.max_memory_allocated(self.device) - others)
            self.bytes = torch.cuda.memory_allocated(self.device) - others


@dataclass(slots=True)
class Result:
    """What one code did in a row.

    Attributes:
        failure: why it did not; empty if it did.
        first: seconds of the first call, with what was left to prepare.
        peak: bytes, or None where it was not measured.
    """

    failure: str = ""
    first: float = 0.0
    seconds: list[float] = field(default_factory=list)
    peak: int | None = None

    @property
    def spread(self) -> Spread:
        """The median of the seconds, the lowest and the highest."""
        return spread(self.seconds)


@dataclass(slots=True)
class Entrant:
    """A code that takes part, and what it holds."""

    code: Contestant
    held: Held


def measure(entrants: Sequence[Entrant], work: str, batch: int, runs: int) -> dict[str, Result]:
    """Return what each code did, by its name: `work` is "sample" or "train".

    Each begins alone; then they take turns. One that fails is out, and the other goes on.
    """
    results = {entrant.code.name: Result() for entrant in entrants}
    calls: dict[str, Callable[[], Tensor]] = {}
    for entrant in entrants:
        entrant.held.peak = entrant.held.bytes

    def turn(entrant: Entrant) -> None:
        result, device = results[entrant.code.name], entrant.held.device
        if result.failure:
            return
        with entrant.held.counted():
            try:
                finish(device)
                start = time.perf_counter()
                if entrant.code.name not in calls:
                    calls[entrant.code.name] = prepared(entrant.code, work, batch)
                made = calls[entrant.code.name]()
                finish(device)
                result.seconds.append(time.perf_counter() - start)
                if len(result.seconds) == 1:
                    _check(made, work, batch)
                del made
            except Exception as error:  # out of memory, a compiler that is not there: the others go on
                result.failure = reason(error)

    for entrant in entrants:
        for _ in range(WARM_UPS):
            turn(entrant)
    for _ in range(runs):
        for entrant in entrants:
            turn(entrant)
    for entrant in entrants:
        result = results[entrant.code.name]
        result.first, result.seconds = (result.seconds or [0.0])[0], result.seconds[WARM_UPS:]
        if entrant.held.device.type == "cuda":
            result.peak = entrant.held.peak
        with entrant.held.counted():
            calls.pop(entrant.code.name, None)
            gc.collect()
    if any(entrant.held.device.type == "cuda" for entrant in entrants):
        torch.cuda.empty_cache()
    return results


def prepared(code: Contestant, work: str, batch: int) -> Callable[[], Tensor]:
    """Return the function that does the work once."""
    return code.sampler(batch) if work == "sample" else code.trainer(batch)


def twice(build: Callable[..., Contestant], arguments: Sequence[Any], work: str, batch: int) -> None:
    """Build a code and do its work twice, in a process whose memory is measured."""
    call = prepared(build(*arguments), work, batch)
    call()
    call()


def reason(error: Exception) -> str:
    """Return the first line of what went wrong."""
    if isinstance(error, VartkError):
        return str(error)
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _check(made: Tensor, work: str, batch: int) -> None:
    """Raise `VartkError` if images or a loss are not what they should be."""
    if not made.isfinite().all():
        raise VartkError(f"the {'images' if work == 'sample' else 'loss'} of the first call are not finite")
    if work == "sample" and (made.ndim != 4 or made.shape[:2] != (batch, 3)):
        raise VartkError(f"the first call made {list(made.shape)}, not {batch} images")
