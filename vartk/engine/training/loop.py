"""The training loop, one for both stages."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from vartk_registry import VartkError

from ...config import Composed, Config, StageConfig
from . import checkpoint
from .interrupt import stop_requests
from .optim import build_optimizer, build_scheduler
from .run import Run


class Stage(Protocol):
    """What the loop needs of a stage of training."""

    name: str
    module: nn.Module

    @property
    def train(self) -> StageConfig:
        """How it is trained."""
        ...

    def batches(self, start: int, device: torch.device) -> Iterator[Any]:
        """Yield the batch of each step from `start` to the last."""
        ...

    def loss(self, module: nn.Module, batch: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the scalar to descend, and numbers to report."""
        ...

    def validate(self, module: nn.Module, device: torch.device) -> dict[str, float]:
        """Return numbers about held-out data; none where there is no such data."""
        ...

    def preview(self, module: nn.Module, device: torch.device) -> torch.Tensor:
        """Return a picture [3, H, W] in [0, 1] that shows what the model can do."""
        ...

    def export(self, weights: Mapping[str, torch.Tensor], folder: Path) -> None:
        """Write the model folder."""
        ...


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
    resume: bool = False,
) -> Path:
    """Train a stage in a run folder, and return the model folder that it wrote.

    Args:
        resume: go on from the newest checkpoint of the run; otherwise `folder` must not exist.

    Raises:
        VartkError: the folder exists, or cannot be resumed; the disk is full; the loss is not finite.
        KeyboardInterrupt, SystemExit: Ctrl-C or SIGTERM, after a checkpoint was saved.
    """
    config, run = stage.train, Run(folder)
    trainer = Trainer(stage, device)
    start = 0
    if resume:
        start = trainer.resume(run, reporter.event)
        run.go_on(composed, start)
        reporter.event(f"resumed after step {start} of {config.steps}")
    else:
        run.start(composed)
    if start >= config.steps:
        reporter.event(f"nothing is left to do; more train.{stage.name}.steps would go on")
        stage.export(trainer.shown.state_dict(), run.model)
        return run.model
    clock, seen = time.perf_counter(), 0
    with stop_requests() as stop:
        for step, batch in enumerate(stage.batches(start, device), start + 1):
            values = trainer.update(step, batch, run)
            seen += config.batch
            last = step == config.steps
            if step % config.log_every == 0 or step == 1 or last:
                numbers = {name: float(value) for name, value in values.items()}
                run.log({"step": step, **numbers})
                speed = seen / (time.perf_counter() - clock)
                reporter.step(step, {**numbers, "images_per_second": speed})
                clock, seen = time.perf_counter(), 0
            if step % config.eval_every == 0 or last:
                held_out = trainer.evaluate(stage.validate)
                if held_out:
                    run.log({"step": step, **{f"val_{name}": v for name, v in held_out.items()}})
                    reporter.event(f"step {step} validation: {_numbers(held_out)}")
            if step % config.preview_every == 0 or last:
                picture = run.picture(step, trainer.evaluate(stage.preview))
                reporter.event(f"step {step} picture: {picture}")
            if step % config.save_every == 0 or last or stop:
                trainer.save(step, run)
            if stop and not last:
                reporter.event(f"stopped after step {step}, which is saved; --resume goes on")
                stop.obey()
    return run.model


class Trainer:
    """What changes from step to step: the module, its optimizer, its learning rate and its average.

    Attributes:
        shown: the module whose weights are evaluated and saved: the average where there is one.
    """

    def __init__(self, stage: Stage, device: torch.device) -> None:
        self.stage = stage
        self.device = device
        self.config = stage.train
        self.module = stage.module.to(device)
        self.module.train()
        self.optimizer = build_optimizer(self.module, self.config)
        self.scheduler = build_scheduler(self.optimizer, self.config)
        self.ema = _average(self.module, self.config)
        self.shown: nn.Module = self.module if self.ema is None else self.ema.module

    def resume(self, run: Run, event: Callable[[str], None]) -> int:
        """Return the step of the checkpoint that was loaded, as `checkpoint.resume`."""
        step = checkpoint.resume(run.checkpoints, self.module, self.optimizer, self.ema, event)
        for _ in range(step):
            self.scheduler.step()
        return step

    def update(self, step: int, batch: Any, run: Run) -> dict[str, Any]:
        """Do one step of training, and return its numbers by name: scalar tensors, and the rate."""
        with self._autocast():
            loss, parts = self.stage.loss(self.module, batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.config.clip or math.inf)
        if not torch.isfinite(norm):
            saved = [path.name for path in checkpoint.steps(run.checkpoints)]
            raise VartkError(
                f"step {step}: the loss is {loss.item():g} and its gradient {norm.item():g}; "
                f"{f'the last checkpoint is {saved[-1]}' if saved else 'there is no checkpoint yet'}. "
                f"Try a lower train.{self.stage.name}.lr"
            )
        self.optimizer.step()
        rate = self.scheduler.get_last_lr()[0]
        self.scheduler.step()
        if self.ema is not None:
            self.ema.update(self.module, step=step)
        return {"loss": loss.detach(), **parts, "grad_norm": norm, "lr": rate}

    def evaluate(self, function: Callable[[nn.Module, torch.device], Any]) -> Any:
        """Call a function of the shown module, without disturbing training or its random numbers."""
        training = self.shown.training
        self.shown.eval()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), self._autocast():
            result = function(self.shown, self.device)
        self.shown.train(training)
        return result

    def save(self, step: int, run: Run) -> None:
        """Write a checkpoint and the model folder."""
        config = self.config
        checkpoint.save(run.checkpoints, step, self.module, self.optimizer, self.ema, config.keep)
        self.stage.export(self.shown.state_dict(), run.model)

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")


def _average(module: nn.Module, config: StageConfig) -> Any:
    if not config.ema:
        return None
    from timm.utils import ModelEmaV3

    return ModelEmaV3(module, decay=config.ema, use_warmup=True)


def _numbers(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items() if name[-1:].isalpha())
