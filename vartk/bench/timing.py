"""Times that are measured in turns: a slow moment of the machine then slows every candidate."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some measurements, and the lowest and the highest."""

    median: float
    low: float
    high: float


@dataclass(slots=True)
class Progress:
    """Counts what is done, and tells it with the total and what was done last."""

    tell: Callable[[int, int, str], None]
    total: int
    done: int = 0

    def add(self, text: str, count: int = 1) -> None:
        """Count something more as done."""
        self.done += count
        self.tell(self.done, self.total, text)


def spread(numbers: Sequence[float]) -> Spread:
    """Return the spread of at least one number."""
    return Spread(statistics.median(numbers), min(numbers), max(numbers))


def in_turns(
    candidates: Mapping[str, Callable[[], object]],
    repeats: int,
    device: torch.device,
    measured: Callable[[str], None],
) -> dict[str, list[float]]:
    """Return the seconds of each candidate by name: each is called once, then each again, and so on.

    `measured` is called with a candidate's name after each of its turns.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, candidate in candidates.items():
            finish(device)
            start = time.perf_counter()
            candidate()
            finish(device)
            seconds[name].append(time.perf_counter() - start)
            measured(name)
    return seconds


def finish(device: torch.device) -> None:
    """Wait for what was started on a device that computes in the background."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
