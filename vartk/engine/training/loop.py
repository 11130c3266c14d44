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
from .optim import build_optimizer, build_scheduler
from .run import Run


class Stage(Protocol):
    """What the loop needs of a stage of training."""

    name: str
    train: StageConfig
    module: nn.Module

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
        VartkError: the folder exists, there is nothing to resume, the disk is full, or the loss is not
            finite.
    """
    config, run = stage.train, Run(folder)
    module = stage.module.to(device)
    optimizer = build_optimizer(module, config)
    scheduler = build_scheduler(optimizer, config)
    ema = _average(module, config)
    start = 0
    if resume:
        start = checkpoint.resume(run.checkpoints, module, optimizer, ema)
        for _ in range(start):
            scheduler.step()
        run.go_on(start)
        reporter.event(f"resumed after step {start}")
    else:
        run.start(composed)
    shown = ema.module if ema is not None else module

    def save(step: int) -> None:
        checkpoint.save(run.checkpoints, step, module, optimizer, ema, config.keep)
        stage.export(shown.state_dict(), run.model)

    clock, seen = time.perf_counter(), 0
    module.train()
    for step, batch in enumerate(stage.batches(start, device), start + 1):
        with _autocast(config, device):
            loss, parts = stage.loss(module, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(module.parameters(), config.clip or math.inf)
        if not torch.isfinite(norm):
            raise VartkError(
                f"step {step}: the loss is {loss.item():g} and its gradient {norm.item():g}; the last "
                f"checkpoint is in {run.checkpoints}. Try a lower train.{stage.name}.lr"
            )
        optimizer.step()
        rate = scheduler.get_last_lr()[0]
        scheduler.step()
        if ema is not None:
            ema.update(module, step=step)
        seen += config.batch
        last = step == config.steps
        if step % config.log_every == 0 or step == 1 or last:
            seconds = time.perf_counter() - clock
            values = {"loss": loss.item(), **{name: value.item() for name, value in parts.items()}}
            values |= {"grad_norm": norm.item(), "lr": rate}
            run.log({"step": step, **values})
            reporter.step(step, {**values, "images_per_second": seen / seconds})
            clock, seen = time.perf_counter(), 0
        if step % config.eval_every == 0 or last:
            held_out = _evaluating(stage.validate, shown, config, device)
            if held_out:
                run.log({"step": step, **{f"val_{name}": v for name, v in held_out.items()}})
                reporter.event(f"step {step} validation: {_numbers(held_out)}")
        if step % config.preview_every == 0 or last:
            picture = run.picture(step, _evaluating(stage.preview, shown, config, device))
            reporter.event(f"step {step} picture: {picture}")
        if step % config.save_every == 0 or last:
            save(step)
    return run.model


def _evaluating(
    function: Callable[[nn.Module, torch.device], Any],
    module: nn.Module,
    config: StageConfig,
    device: torch.device,
) -> Any:
    """Call a function of a module in evaluation mode, without disturbing training or its random numbers."""
    training = module.training
    module.eval()
    with torch.random.fork_rng(), _autocast(config, device):
        result = function(module, device)
    module.train(training)
    return result


def _average(module: nn.Module, config: StageConfig) -> Any:
    if not config.ema:
        return None
    from timm.utils import ModelEmaV3

    return ModelEmaV3(module, decay=config.ema, use_warmup=True)


def _autocast(config: StageConfig, device: torch.device) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")


def _numbers(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items() if name[-1:].isalpha())
