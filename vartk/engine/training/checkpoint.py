"""Checkpoints of a training run: everything that makes it go on as if it had never stopped."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.utils._pytree import tree_map_only

from vartk_registry import VartkError

from ...files import whole_folder
from ..distributed import World
from .unpickling import SafePlanner, SafeReader, load_plain

CHECKSUMS = "sha256.json"


@contextmanager
def one_process_is_enough() -> Iterator[None]:
    """Keep torch from a warning at each checkpoint of a run of one process.

    It encloses a whole run, for the filters of warnings are not a thread's own.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        yield


class Stateful(Protocol):
    """What can be saved and taken up again."""

    def state_dict(self) -> dict[str, Any]:
        """Return its state; tensors and plain values."""
        ...

    def load_state_dict(self, state: Any, /) -> Any:
        """Take a state up."""
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a checkpoint holds.

    Attributes:
        state: of the module, its optimizer and the others, by name.
        random: the states of the generators of random numbers.
    """

    step: int
    state: dict[str, Any]
    random: dict[str, Any]

    def copied(self) -> Snapshot:
        """Return a copy in the memory of the CPU, which training does not change."""
        return Snapshot(self.step, copied(self.state), self.random)


def take(
    step: int, module: nn.Module, optimizer: torch.optim.Optimizer, others: Mapping[str, Stateful]
) -> Snapshot:
    """Return the state after `step` steps. It shares its tensors with the run.

    Args:
        others: what else is part of the state, by name.
    """
    return Snapshot(step, _state(step, module, optimizer, others), _random_state())


def copied(state: Any) -> Any:
    """Return nested dictionaries and lists with copies of their tensors in the memory of the CPU."""
    return tree_map_only(torch.Tensor, lambda tensor: tensor.detach().to("cpu", copy=True), state)


def write(folder: Path, snapshot: Snapshot, keep: int, world: World) -> None:
    """Write a snapshot as `folder`/step-N, then remove all checkpoints but the last `keep`.

    All processes write their part into the one folder; the leading one puts it into its place.

    Raises:
        VartkError: it could not be written; the older checkpoints are all still there.
    """
    path = folder / f"step-{snapshot.step:08d}"
    with whole_folder(path) if world.leads else nullcontext(path) as aside:
        aside = world.told(aside)
        try:
            dcp.save(snapshot.state, no_dist=world.size == 1, checkpoint_id=aside, process_group=world.group)
        except CheckpointException as error:
            if not world.leads:  # whose folder it is
                raise VartkError(f"{path} could not be written: {_cause(error)}") from error
            raise OSError(_cause(error)) from error
        random_state = io.BytesIO()  # torch's own writing hides why it fails
        torch.save(snapshot.random, random_state)
        (aside / _random_file(world)).write_bytes(random_state.getvalue())
        world.wait()
        if world.leads:
            (aside / CHECKSUMS).write_text(json.dumps(_checksums(aside)))
    world.wait()
    if world.leads:
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
    world: World,
) -> int:
    """Load the newest checkpoint that is not damaged, random states too, and return its step.

    A run that was stopped before its first checkpoint is at step 0. Damaged checkpoints are told of by
    `event`, and removed. It may have been saved by another number of processes; those that it knows
    nothing of keep their random states. Code in a checkpoint's pickles is never run.

    Raises:
        VartkError: all are damaged, the newest whole one is of another configuration, or it holds objects
            that vartk does not write.
    """
    newest = world.told(_newest(folder, event) if world.leads else None)
    if newest is None:
        return 0
    state = _state(0, module, optimizer, others)
    try:
        reader, planner = SafeReader(newest), SafePlanner(newest)
        dcp.load(state, no_dist=world.size == 1, storage_reader=reader, planner=planner)
    except CheckpointException as error:
        if unsafe := [each for each, _ in error.failures.values() if isinstance(each, VartkError)]:
            raise unsafe[0] from error
        raise VartkError(
            f"checkpoint {newest} does not fit this configuration: {_cause(error)}; resume with the "
            "settings that the run began with"
        ) from error
    set_state_dict(
        module,
        optimizer,
        model_state_dict=state["module"],
        optim_state_dict=state["optimizer"],
        options=_options(module),
    )
    for name, other in others.items():
        if state[name]:  # a gradient scaler that is off has no state, and takes none
            other.load_state_dict(state[name])
    if (own := newest / _random_file(world)).exists():
        _restore_random(load_plain(own, own.name, newest))
    return int(state["step"])


def _newest(folder: Path, event: Callable[[str], None]) -> Path | None:
    """Return the newest whole checkpoint, and remove damaged ones, which the run will write again."""
    found, damaged = steps(folder), []
    while found and (damage := _damage(found[-1])):
        event(f"checkpoint {found[-1]} is damaged ({damage}); trying the one before")
        damaged.append(found.pop())
    if damaged and not found:
        raise VartkError(f"every checkpoint in {folder} is damaged; start a new run")
    for path in damaged:
        shutil.rmtree(path)
    return found[-1] if found else None


def _state(
    step: int, module: nn.Module, optimizer: torch.optim.Optimizer, others: Mapping[str, Stateful]
) -> dict[str, Any]:
    weights, optimizer_state = get_state_dict(module, optimizer, options=_options(module))
    return {
        "step": step,
        "module": weights,
        "optimizer": optimizer_state,
        **{name: other.state_dict() for name, other in others.items()},
    }


def _options(module: nn.Module) -> StateDictOptions:
    """Return that frozen weights are left out, where the module says that it has them from elsewhere."""
    elsewhere = getattr(module, "frozen_elsewhere", False)
    return StateDictOptions(ignore_frozen_params=elsewhere, strict=not elsewhere)


class Learned:
    """The weights of a module that are trained, in it or in the one that it is an average of."""

    def __init__(self, module: nn.Module, trained: nn.Module) -> None:
        self.module = module
        self._names = [name for name, weight in trained.named_parameters() if weight.requires_grad]

    def state_dict(self) -> dict[str, Any]:
        """Return the weights that are trained."""
        return {name: self.module.get_parameter(name).data for name in self._names}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Take them up again."""
        self.module.load_state_dict(state, strict=False)


def _random_file(world: World) -> str:
    return f"random-{world.rank}.pt"


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
