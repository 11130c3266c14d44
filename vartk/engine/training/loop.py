"""The training loop, one for both stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

import torch

from ...config import Composed, Config
from ..distributed import ALONE, World
from .checkpoint import one_process_is_enough
from .interrupt import stop_requests
from .journal import Journal, Reporter
from .judge import Best
from .logger import open_logger, require_logger
from .run import Run
from .stage import Stage
from .trainer import Trainer


@one_process_is_enough()
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
            run.start(composed, list(stage.shares))
    if start >= config.steps:
        reporter.event(f"nothing is left to do; more train.{stage.name}.steps would go on")
        trainer.export(run.model)
        return run.model
    if trainer.compiled:
        reporter.event(
            "torch.compile compiles the first step, which can take some minutes; "
            f"train.{stage.name}.compile=false turns it off"
        )
    best = None if stage.judge is None else Best(folder, higher=stage.judge.higher)
    unsaved = False
    log_to = (
        open_logger(stage, composed.config, folder, start, reporter.event) if world.leads else nullcontext()
    )
    with log_to as run.logger, stop_requests() as stop, trainer.writer:
        journal = Journal(stage, trainer, run, reporter)
        for step, batch in enumerate(stage.batches(start, device, world), start + 1):
            last = step == config.steps
            unsaved = unsaved or step % config.save_every == 0
            looked_at = step % config.eval_every == 0 or step % config.preview_every == 0
            journal.take(trainer.update(step, batch), wait=last or unsaved or looked_at)
            if step % config.eval_every == 0 or last:
                held_out = trainer.evaluate(stage.validate)
                if held_out:
                    run.log(step, {f"val_{name}": v for name, v in held_out.items()})
                    reporter.event(f"step {step} validation: {_numbers(held_out)}")
                if best is not None:
                    _keep_best(best, step, held_out, trainer, run, reporter.event)
            if step % config.preview_every == 0 or last:
                picture = trainer.evaluate(stage.preview)
                if picture is not None:
                    reporter.event(f"step {step} picture: {run.picture(step, picture)}")
            if stop.share(world, trainer.writer.failed):  # so that all processes end at the same step
                trainer.writer.wait()
            if stop:
                journal.settle()
            # weights that may be past saving do not push a good checkpoint out
            if (unsaved and not trainer.skips.in_a_row) or last or stop:
                trainer.save(step, run)
                unsaved = False
            if stop:
                trainer.writer.wait()
                reporter.event(f"stopped after step {step}, which is saved; --resume goes on")
                stop.obey()
    return run.model


def _keep_best(
    best: Best,
    step: int,
    values: Mapping[str, float] | None,
    trainer: Trainer,
    run: Run,
    event: Callable[[str], None],
) -> None:
    """Write the model as the best one if its first number is better than all before.

    Every process calls this; the leading one has the numbers.
    """
    improved = bool(values) and best.improved_by(next(iter(values.values())))
    if trainer.world.told(improved):
        trainer.export(run.best)
        if values:
            best.keep(step, values)
            event(f"step {step} is the best so far: {run.best}")


def _numbers(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items() if name[-1:].isalpha())
