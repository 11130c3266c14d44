"""A step of training: loss, gradients, optimizer, average."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from vartk_registry import VartkError
from vartk_registry.precision import cpu_multiplies

from ...config import AUTO, StageConfig
from ..distributed import ALONE, Parallel, World, gathered, shard
from . import checkpoint
from .compilation import compiles
from .optim import build_optimizer, make_state, set_rates, step_if
from .outcome import Outcome
from .run import Run
from .stage import Stage
from .writer import Writer

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(slots=True)
class Skips:
    """The steps whose loss or gradient was not finite: all of them, and those since the last good step.

    The training loop counts them, when it learns of them.
    """

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
    """What changes from step to step: the module, its optimizer, average and opponent, the steps skipped.

    Attributes:
        shown: the module whose weights are evaluated and saved: the average where there is one.
        compiled: whether torch.compile compiles the forward and backward pass.
        writer: writes checkpoints while training goes on.

    Raises:
        VartkError: the batch cannot be split as `accumulate` and the processes need it; fp16 with fsdp.
    """

    def __init__(self, stage: Stage, device: torch.device, world: World = ALONE) -> None:
        self.stage = stage
        self.device = device
        self.world = world
        self.config = stage.train
        _check(stage, world)
        self.compiled = compiles(self.config, device, sharded=stage.parallel == "fsdp" and world.size > 1)
        stage.prepare(device, compiled=self.compiled)
        self.module = stage.module.train()
        self.ema = _average(self.module, self.config)
        self.shown: nn.Module = self.module if self.ema is None else self.ema.module
        self.parallel = Parallel(self.module, stage.parallel, world, device)
        if self.ema is not None:
            shard(self.shown, device) if self.parallel.sharded else self.shown.to(device)
        # a wrapper, so that evaluation and the names of the weights stay as they are
        self.forward: Any = self.parallel.forward
        if self.compiled:
            self.forward = torch.compile(self.forward)
        self.optimizer = build_optimizer(self.module, self.config, stage.shares)
        make_state(self.module, self.optimizer)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.config.precision == "fp16")
        self.skips = Skips()
        self.writer = Writer()
        self._beside = world.beside()
        self.opponent = stage.opponent
        if self.opponent is not None:
            self.opponent.prepare(device, world)
        if world.rank:  # the weights were drawn alike; what is dropped must not be
            torch.manual_seed(self.config.seed + world.rank)

    def update(self, step: int, batch: Any) -> Outcome:
        """Do one step of training, without waiting for the device.

        If the loss or its gradient is not finite, all that the optimizers move stays. The average counts
        this as a step in which the weights stayed.
        """
        rate = set_rates(self.optimizer, step - 1, self.config)
        self.optimizer.zero_grad(set_to_none=True)
        if self.opponent is not None:
            self.opponent.begin(step)
        values = self._backward(batch)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.config.clip or math.inf)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        finite = values["loss"].isfinite() & norm.isfinite()
        if not self.parallel.sharded:
            step_if(self.optimizer, finite)
        elif finite:  # this waits: the fused kernel takes no such tensor beside shares of weights
            self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.module, step=step)
        if self.opponent is not None:
            values |= self.world.mean(self.opponent.update(self.scaler, self._autocast, finite))
        self.scaler.update()
        return Outcome(step, {**values, "grad_norm": norm, "lr": rate}, finite)

    def evaluate(self, function: Callable[[nn.Module, torch.device], Any]) -> Any:
        """Call a function of the shown module, without disturbing training or its random numbers.

        The leading process does, and the others return None.
        """
        with self.parallel.whole(self.shown) as shown:
            if shown is None or not self.world.leads:
                return None
            training = shown.training
            shown.eval()
            devices = [self.device] if self.device.type == "cuda" else []
            with torch.random.fork_rng(devices), self._autocast():
                result = function(shown, self.device)
            shown.train(training)
        return result

    def resume(self, run: Run, event: Callable[[str], None]) -> int:
        """Return the step of the checkpoint that was loaded, as `checkpoint.resume`."""
        return checkpoint.resume(
            run.checkpoints, self.module, self.optimizer, self._others(), event, self.world
        )

    def save(self, step: int, run: Run) -> None:
        """Start to write a checkpoint and the model folder.

        Training goes on with copies of both in the memory of the CPU, which `writer` writes: each process
        its part of the checkpoint.
        """
        snapshot = checkpoint.take(step, self.module, self.optimizer, self._others()).copied()
        weights = checkpoint.copied(self._weights())

        def write() -> None:
            checkpoint.write(run.checkpoints, snapshot, self.config.keep, self._beside)
            self._export(weights, run.model, self._beside)

        self.writer.start(write)

    def export(self, folder: Path) -> None:
        """Write a model folder, and return in every process when it is there."""
        self._export(self._weights(), folder, self.world)

    def _weights(self) -> Mapping[str, torch.Tensor]:
        """Return the leading process all weights of the shown module, and the others nothing."""
        if self.parallel.sharded:
            return gathered(self.shown)
        return self.shown.state_dict() if self.world.leads else {}

    def _export(self, weights: Mapping[str, torch.Tensor], folder: Path, world: World) -> None:
        if world.leads:
            self.stage.export(weights, folder)
        world.wait()

    def _backward(self, batch: Any) -> dict[str, Any]:
        """Add up the gradients of the micro-batches, and return the means of their numbers."""
        parts = self.config.accumulate
        means: dict[str, Any] = {}
        for part, micro in enumerate(_split(batch, parts), 1):
            self.parallel.exchange(part == parts)
            with self._autocast():
                loss, values = self.stage.loss(self.forward, micro)
            self.scaler.scale(loss / parts).backward()
            for name, value in {"loss": loss.detach(), **values}.items():
                means[name] = means[name] + value if name in means else value
        # each operation is a launch for each number
        return self.world.mean({name: value / parts for name, value in means.items()} if parts > 1 else means)

    def _others(self) -> dict[str, checkpoint.Stateful]:
        """Return by name what a checkpoint holds beside the module and its optimizer."""
        others: dict[str, checkpoint.Stateful] = {"scaler": self.scaler, "skips": self.skips}
        if self.ema is not None:
            partly = getattr(self.module, "frozen_elsewhere", False)
            others["ema"] = checkpoint.Learned(self.shown, self.module) if partly else self.ema
        if self.opponent is not None:
            others["opponent"] = self.opponent
        return others

    def _autocast(self) -> AbstractContextManager[Any]:
        dtype = _dtype(self.config.precision, self.device)
        return torch.autocast(self.device.type, dtype, enabled=dtype is not torch.float32)


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the type of the forward pass; a device without bf16 arithmetic imitates it, far more slowly."""
    if precision != AUTO:
        return DTYPES[precision]
    if device.type == "cuda":
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_bf16 = device.type == "cpu" and cpu_multiplies(torch.bfloat16)
    return torch.bfloat16 if has_bf16 else torch.float32


def _split(batch: Any, parts: int) -> Iterator[Any]:
    if isinstance(batch, torch.Tensor):
        return iter(batch.chunk(parts))
    return zip(*(_parts(value, parts) for value in batch), strict=True)


def _parts(value: Any, parts: int) -> Any:
    """Return the parts of a tensor, and what is no tensor for each part."""
    return value.chunk(parts) if isinstance(value, torch.Tensor) else [value] * parts


def _check(stage: Stage, world: World) -> None:
    config, name = stage.train, f"train.{stage.name}"
    parts = config.accumulate * world.size
    if config.batch % parts:
        each = f" in each of {world.size} processes" if world.size > 1 else ""
        raise VartkError(
            f"{name}.batch={config.batch} cannot be split into {name}.accumulate={config.accumulate} "
            f"equal parts{each}; take a multiple, such as batch={_multiple(config.batch, parts)}"
        )
    if stage.parallel == "fsdp" and config.precision == "fp16" and world.size > 1:
        raise VartkError(
            f"{name}.parallel=fsdp cannot scale the loss as fp16 needs it; take {name}.precision=bf16"
        )


def _multiple(number: int, of: int) -> int:
    """Return the nearest multiple that is not smaller."""
    return -(-number // of) * of


def _average(module: nn.Module, config: StageConfig) -> Any:
    if not config.ema:
        return None
    from timm.utils import ModelEmaV3

    return ModelEmaV3(module, decay=config.ema, use_warmup=True)
