"""The training loop, one for both stages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

import torch

from vartk_registry import VartkError, counted

from ...config import Composed, Config
from ..distributed import ALONE, World
from . import checkpoint
from .interrupt import stop_requests
from .logger import open_logger, require_logger
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


def train(
    stage: Stage,
    composed: Composed[Config],
    folder: Path,
    *,
    reporter: Reporter,
    device: torch.device,
    world: World = ALONE,
    resume: bool = False,
) -> Path:
    """Train a stage in a run folder, and return the model folder that it wrote.

    Args:
        world: the processes that train together; every one of them calls this.
        resume: go on from the newest checkpoint of the run; otherwise `folder` must not exist.

    Raises:
        VartkError: the folder exists, or cannot be resumed; the disk is full; the logger cannot start; too
            many steps in a row had a loss or a gradient that was not finite.
        KeyboardInterrupt, SystemExit: Ctrl-C or SIGTERM, after a checkpoint was saved.
    """
    config, run = stage.train, Run(folder)
    trainer = Trainer(stage, device, world)
    require_logger(config.logger)  # before the folder is made
    start = 0
    if resume:
        start = trainer.resume(run, reporter.event)
        if world.leads:
            run.go_on(composed, start)
        reporter.event(f"resumed after step {start} of {config.steps}")
    else:
        world.wait()  # until every process has seen that there is no such folder
        if world.leads:
            run.start(composed)
    if start >= config.steps:
        reporter.event(f"nothing is left to do; more train.{stage.name}.steps would go on")
        trainer.export(run)
        return run.model
    if trainer.compiled:
        reporter.event(
            "torch.compile compiles the first step, which can take some minutes; "
            f"train.{stage.name}.compile=false turns it off"
        )
    clock, seen, unsaved = time.perf_counter(), 0, False
    log_to = (
        open_logger(stage, composed.config, folder, start, reporter.event) if world.leads else nullcontext()
    )
    with log_to as run.logger, stop_requests() as stop:
        for step, batch in enumerate(stage.batches(start, device, world), start + 1):
            values = trainer.update(step, batch)
            skips = trainer.skips
            seen += config.batch
            last = step == config.steps
            told = step % config.log_every == 0 or step == 1 or last or skips.in_a_row
            if told and world.leads:
                numbers = {name: float(value) for name, value in values.items()}
                if skips.total:
                    numbers["skipped"] = skips.total
                run.log(step, numbers)
                speed = seen / (time.perf_counter() - clock)
                reporter.step(step, {**numbers, "images_per_second": speed})
                clock, seen = time.perf_counter(), 0
            if skips.in_a_row:
                broken = f"the loss is {values['loss']:g} and its gradient {values['grad_norm']:g}"
                reporter.event(f"step {step} is skipped: {broken}")
                if skips.in_a_row >= config.max_skipped:
                    raise VartkError(_given_up(stage, run, step, skips.in_a_row, broken))
            if step % config.eval_every == 0 or last:
                held_out = trainer.evaluate(stage.validate)
                if held_out:
                    run.log(step, {f"val_{name}": v for name, v in held_out.items()})
                    reporter.event(f"step {step} validation: {_numbers(held_out)}")
            if step % config.preview_every == 0 or last:
                picture = trainer.evaluate(stage.preview)
                if picture is not None:
                    reporter.event(f"step {step} picture: {run.picture(step, picture)}")
            unsaved = unsaved or step % config.save_every == 0
            stop.share(world, device)
            # weights that may be past saving do not push a good checkpoint out
            if (unsaved and not skips.in_a_row) or last or stop:
                trainer.save(step, run)
                unsaved = False
            if stop:
                reporter.event(f"stopped after step {step}, which is saved; --resume goes on")
                stop.obey()
    return run.model


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


def _numbers(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items() if name[-1:].isalpha())
