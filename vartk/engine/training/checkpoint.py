"""Checkpoints of a training run: everything that makes it go on as if it had never stopped."""

from __future__ import annotations

import logging
import random
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from vartk_registry import VartkError

from ..files import whole_folder

log = logging.getLogger(__name__)


def save(
    folder: Path,
    step: int,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: nn.Module | None,
    keep: int,
) -> None:
    """Write the state after `step` steps as `folder`/step-N, then remove all but the last `keep`.

    Raises:
        VartkError: it could not be written; the older checkpoints are all still there.
    """
    with whole_folder(folder / f"step-{step:08d}") as aside:
        try:
            dcp.save(_state(step, module, optimizer, ema), checkpoint_id=aside, no_dist=True)
        except CheckpointException as error:
            raise OSError(_cause(error)) from error
    for old in steps(folder)[:-keep]:
        shutil.rmtree(old)


def steps(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    return sorted(folder.glob("step-*"))


def resume(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, ema: nn.Module | None) -> int:
    """Load the newest checkpoint that can be read, random states too, and return its step.

    Raises:
        VartkError: there is none.
    """
    for path in reversed(steps(folder)):
        state = _state(0, module, optimizer, ema)
        try:
            dcp.load(state, checkpoint_id=path, no_dist=True)
        except (CheckpointException, OSError) as error:
            log.warning("checkpoint %s cannot be read (%s); trying the one before", path, _cause(error))
            continue
        set_state_dict(
            module, optimizer, model_state_dict=state["module"], optim_state_dict=state["optimizer"]
        )
        if ema is not None:
            ema.load_state_dict(state["ema"])
        _restore_random(state["random"])
        return int(state["step"])
    raise VartkError(f"{folder} holds no checkpoint that can be read; start a new run")


def _state(
    step: int, module: nn.Module, optimizer: torch.optim.Optimizer, ema: nn.Module | None
) -> dict[str, Any]:
    weights, optimizer_state = get_state_dict(module, optimizer)
    return {
        "step": step,
        "module": weights,
        "optimizer": optimizer_state,
        "ema": ema.state_dict() if ema is not None else {},
        "random": _random_state(),
    }


def _random_state() -> dict[str, Any]:
    state: dict[str, Any] = {"torch": torch.get_rng_state(), "python": random.getstate()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _restore_random(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])


def _cause(error: BaseException) -> str:
    """Return the first underlying error of a failed save or load, on one line."""
    if isinstance(error, CheckpointException):
        error = next(iter(error.failures.values()))[0]
    return f"{type(error).__name__}: {error}".splitlines()[0]
