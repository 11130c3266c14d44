"""The journal of a run: tells of its steps in order, and ends a run that went wrong."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from vartk_registry import VartkError, counted

from . import checkpoint
from .outcome import Awaited, Outcome
from .run import Run
from .stage import Stage
from .trainer import Trainer


class Reporter(Protocol):
    """Where a run tells of its progress."""

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Take the numbers of a training step (`log_every`)."""
        ...

    def event(self, text: str) -> None:
        """Take a line about something else that happened."""
        ...


class Journal:
    """Learns of each step whether it was skipped, counts that, and writes the step's numbers.

    On a CPU it does so at once. On a GPU it does so after the next step has begun, so that the GPU always has
    work, or when it is told to wait.

    Attributes:
        behind: the number of later steps that may begin before it learns of one.
    """

    def __init__(self, stage: Stage, trainer: Trainer, run: Run, reporter: Reporter) -> None:
        self.stage = stage
        self.trainer = trainer
        self.run = run
        self.reporter = reporter
        self.behind = 1 if trainer.device.type == "cuda" else 0
        self._awaited: deque[Awaited] = deque()
        self._clock, self._images = time.perf_counter(), 0

    def take(self, outcome: Outcome, *, wait: bool) -> None:
        """Take in a step; with `wait`, or if the step is logged, everything is known when this returns.

        Raises:
            VartkError: too many steps in a row were skipped.
        """
        self._awaited.append(Awaited(outcome))
        while len(self._awaited) > (0 if wait or self._logs(outcome) else self.behind):
            self._tell(self._awaited.popleft())

    def settle(self) -> None:
        """Wait for all steps; errors as `take`."""
        while self._awaited:
            self._tell(self._awaited.popleft())

    def _logs(self, outcome: Outcome) -> bool:
        train, step = self.stage.train, outcome.step
        return step % train.log_every == 0 or step in (1, train.steps)

    def _tell(self, awaited: Awaited) -> None:
        outcome, skips = awaited.outcome, self.trainer.skips
        skips.count(not awaited.finite)
        self._images += self.stage.train.batch
        if (self._logs(outcome) or skips.in_a_row) and self.trainer.world.leads:
            numbers = outcome.numbers()
            if skips.total:
                numbers["skipped"] = skips.total
            self.run.log(outcome.step, numbers)
            speed = self._images / (time.perf_counter() - self._clock)
            self.reporter.step(outcome.step, {**numbers, "images_per_second": speed})
            self._clock, self._images = time.perf_counter(), 0
        if skips.in_a_row:
            values = outcome.values
            broken = f"the loss is {values['loss']:g} and its gradient {values['grad_norm']:g}"
            self.reporter.event(f"step {outcome.step} is skipped: {broken}")
            if skips.in_a_row >= self.stage.train.max_skipped:
                self.trainer.writer.wait()  # for the checkpoint that the message names
                raise VartkError(_given_up(self.stage, self.run, outcome.step, skips.in_a_row, broken))


def _given_up(stage: Stage, run: Run, step: int, in_a_row: int, broken: str) -> str:
    saved = [path.name for path in checkpoint.steps(run.checkpoints)]
    lower = f"a lower train.{stage.name}.lr, now {stage.train.lr:g}"
    if stage.train.precision == "fp16":
        lower += f", or train.{stage.name}.precision=bf16"
    advice = (
        f"the last good checkpoint is {saved[-1]}: --resume goes on from it, with {lower}"
        if saved
        else f"there is no checkpoint yet: start again with {lower}"
    )
    return f"step {step}: {broken}; {counted(in_a_row, 'step')} in a row had to be skipped; {advice}"
