"""A step of training: loss, gradients, optimizer, average."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from vartk_registry import VartkError

from ...config import StageConfig
from . import checkpoint
from .optim import build_optimizer, set_rates
from .run import Run
from .stage import Stage

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(slots=True)
class Skips:
    """The steps whose loss or gradient was not finite: all of them, and those since the last good step."""

    total: int = 0
    in_a_row: int = 0

    def count(self, skipped: bool) -> None:
        """Take in whether a step was skipped."""
        self.total += skipped
        self.in_a_row = self.in_a_row + 1 if skipped else 0

    def state_dict(self) -> dict[str, int]:
        """Return both numbers."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take both numbers back."""
        self.total, self.in_a_row = state["total"], state["in_a_row"]


class Trainer:
    """What changes from step to step: the module, its optimizer, its average, the steps skipped.

    Attributes:
        shown: the module whose weights are evaluated and saved: the average where there is one.

    Raises:
        VartkError: the batch cannot be split as `accumulate` says.
    """

    def __init__(self, stage: Stage, device: torch.device) -> None:
        self.stage = stage
        self.device = device
        self.config = stage.train
        if self.config.batch % self.config.accumulate:
            raise VartkError(
                f"train.{stage.name}.batch={self.config.batch} cannot be split into "
                f"train.{stage.name}.accumulate={self.config.accumulate} equal parts; "
                f"take a multiple, such as batch={_multiple(self.config.batch, self.config.accumulate)}"
            )
        self.module = stage.module.to(device)
        self.module.train()
        # a wrapper, so that evaluation and the names of the weights stay as they are
        self.forward: Any = torch.compile(self.module) if self.config.compile else self.module
        self.optimizer = build_optimizer(self.module, self.config)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.config.precision == "fp16")
        self.skips = Skips()
        self.ema = _average(self.module, self.config)
        self.shown: nn.Module = self.module if self.ema is None else self.ema.module

    def update(self, step: int, batch: Any) -> dict[str, Any]:
        """Do one step of training, and return its numbers by name: scalar tensors, and the rate.

        Where the loss or its gradient is not finite, all weights stay as they are; see `skips`.
        """
        rate = set_rates(self.optimizer, step - 1, self.config)
        self.optimizer.zero_grad(set_to_none=True)
        values = self._backward(batch)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.config.clip or math.inf)
        finite = bool(values["loss"].isfinite() & norm.isfinite())
        self.skips.count(not finite)
        if finite:
            self.scaler.step(self.optimizer)
            if self.ema is not None:
                self.ema.update(self.module, step=step)
        self.scaler.update()
        return {**values, "grad_norm": norm, "lr": rate}

    def evaluate(self, function: Callable[[nn.Module, torch.device], Any]) -> Any:
        """Call a function of the shown module, without disturbing training or its random numbers."""
        training = self.shown.training
        self.shown.eval()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), self._autocast():
            result = function(self.shown, self.device)
        self.shown.train(training)
        return result

    def resume(self, run: Run, event: Callable[[str], None]) -> int:
        """Return the step of the checkpoint that was loaded, as `checkpoint.resume`."""
        return checkpoint.resume(run.checkpoints, self.module, self.optimizer, self._others(), event)

    def save(self, step: int, run: Run) -> None:
        """Write a checkpoint and the model folder."""
        others, keep = self._others(), self.config.keep
        checkpoint.save(run.checkpoints, step, self.module, self.optimizer, others, keep)
        self.stage.export(self.shown.state_dict(), run.model)

    def _backward(self, batch: Any) -> dict[str, Any]:
        """Add up the gradients of the micro-batches, and return the means of their numbers."""
        parts = self.config.accumulate
        means: dict[str, Any] = {}
        for micro in _split(batch, parts):
            with self._autocast():
                loss, values = self.stage.loss(self.forward, micro)
            self.scaler.scale(loss / parts).backward()
            for name, value in {"loss": loss.detach(), **values}.items():
                means[name] = means.get(name, 0) + value / parts
        return means

    def _others(self) -> dict[str, checkpoint.Stateful]:
        """Return by name what a checkpoint holds beside the module and its optimizer."""
        others: dict[str, checkpoint.Stateful] = {"scaler": self.scaler, "skips": self.skips}
        return others if self.ema is None else {**others, "ema": self.ema}

    def _autocast(self) -> AbstractContextManager[Any]:
        dtype = DTYPES[self.config.precision]
        return torch.autocast(self.device.type, dtype, enabled=dtype is not torch.float32)


def _split(batch: Any, parts: int) -> Iterator[Any]:
    if isinstance(batch, torch.Tensor):
        return iter(batch.chunk(parts))
    return zip(*(tensor.chunk(parts) for tensor in batch), strict=True)


def _multiple(number: int, of: int) -> int:
    """Return the nearest multiple that is not smaller."""
    return -(-number // of) * of


def _average(module: nn.Module, config: StageConfig) -> Any:
    if not config.ema:
        return None
    from timm.utils import ModelEmaV3

    return ModelEmaV3(module, decay=config.ema, use_warmup=True)
