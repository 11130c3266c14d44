"""Checkpoints of a training run: everything that makes it go on as if it had never stopped."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from vartk_registry import VartkError

from ...files import whole_folder

CHECKSUMS = "sha256.json"


class Stateful(Protocol):
    """What can be saved and taken up again."""

    def state_dict(self) -> dict[str, Any]:
        """Return its state; tensors and plain values."""
        ...

    def load_state_dict(self, state: Any, /) -> Any:
        """Take a state up."""
        ...


def save(
    folder: Path,
    step: int,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    others: Mapping[str, Stateful],
    keep: int,
) -> None:
    """Write the state after `step` steps as `folder`/step-N, then remove all but the last `keep`.

    Args:
        others: what else is part of the state, by name.

    Raises:
        VartkError: it could not be written; the older checkpoints are all still there.
    """
    with whole_folder(folder / f"step-{step:08d}") as aside:
        try:
            _alone(dcp.save, _state(step, module, optimizer, others), aside)
        except CheckpointException as error:
            raise OSError(_cause(error)) from error
        (aside / CHECKSUMS).write_text(json.dumps(_checksums(aside)))
    for old in steps(folder)[:-keep]:
        shutil.rmtree(old)


def steps(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    return sorted(folder.glob("step-*"))


def resume(
    folder: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    others: Mapping[str, Stateful],
    event: Callable[[str], None],
) -> int:
    """Load the newest checkpoint that is not damaged, random states too, and return its step.

    A run that was stopped before its first checkpoint is at step 0. Damaged checkpoints are told of by
    `event`, and removed. Checkpoints hold pickles: resume none that you do not trust.

    Raises:
        VartkError: all are damaged, or the newest whole one is of another configuration.
    """
    found = steps(folder)
    damaged = []
    while found and (damage := _damage(found[-1])):
        event(f"checkpoint {found[-1]} is damaged ({damage}); trying the one before")
        damaged.append(found.pop())
    if not found:
        if damaged:
            raise VartkError(f"every checkpoint in {folder} is damaged; start a new run")
        return 0
    state = _state(0, module, optimizer, others)
    try:
        _alone(dcp.load, state, found[-1])
    except CheckpointException as error:
        raise VartkError(
            f"checkpoint {found[-1]} does not fit this configuration: {_cause(error)}; resume with the "
            "settings that the run began with"
        ) from error
    set_state_dict(module, optimizer, model_state_dict=state["module"], optim_state_dict=state["optimizer"])
    for name, other in others.items():
        if state[name]:  # a gradient scaler that is off has no state, and takes none
            other.load_state_dict(state[name])
    _restore_random(state["random"])
    for path in damaged:  # the run will write them again
        shutil.rmtree(path)
    return int(state["step"])


def _state(
    step: int, module: nn.Module, optimizer: torch.optim.Optimizer, others: Mapping[str, Stateful]
) -> dict[str, Any]:
    weights, optimizer_state = get_state_dict(module, optimizer)
    return {
        "step": step,
        "module": weights,
        "optimizer": optimizer_state,
        "random": _random_state(),
        **{name: other.state_dict() for name, other in others.items()},
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


def _alone(function: Callable[..., Any], state: dict[str, Any], folder: Path) -> None:
    """Save or load as the only process, without torch's warning that it is the only one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        function(state, checkpoint_id=folder, no_dist=True)


def _checksums(folder: Path) -> dict[str, str]:
    sums = {}
    for path in sorted(folder.iterdir()):
        if path.name != CHECKSUMS:
            with path.open("rb") as file:
                sums[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def _damage(folder: Path) -> str:
    """Return what is wrong with a checkpoint's files, or an empty string."""
    try:
        written, found = json.loads((folder / CHECKSUMS).read_text()), _checksums(folder)
    except (OSError, ValueError) as error:
        return str(error)
    wrong = [name for name in written if found.get(name) != written[name]]
    return f"{', '.join(wrong)} missing or changed" if wrong else ""


def _cause(error: CheckpointException) -> str:
    """Return on one line what made a save or load fail: the operating system's error, if there is one."""
    cause: BaseException | None = next(iter(error.failures.values()))[0]
    first = f"{type(cause).__name__}: {cause}".splitlines()[0]
    while cause is not None:
        if isinstance(cause, OSError):
            return cause.strerror or str(cause)
        cause = cause.__context__
    return first
