"""The processes that train together: one, or those that torchrun started."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.nn.parallel import DistributedDataParallel

from ..environment import launched_rank

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others, which the first one keeps waiting while it validates."""


@dataclass(frozen=True, slots=True)
class World:
    """The processes of a run, seen from one of them: its rank, in [0, size).

    Without torchrun there is one, and nothing here communicates.

    Attributes:
        group: through which the processes communicate; None for torch's default group.
    """

    rank: int = 0
    size: int = 1
    group: dist.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes, validates and reports."""
        return self.rank == 0

    def beside(self) -> World:
        """Return the same processes as a thread beside training may use them; every process calls this.

        What they exchange goes through the CPU, and never meets what training exchanges.
        """
        if self.size == 1:
            return self
        return replace(self, group=dist.new_group(timeout=PATIENCE, backend="gloo"))

    def wait(self) -> None:
        """Return when every process is here."""
        if self.size > 1:
            dist.barrier(self.group)

    def told(self, value: Any) -> Any:
        """Return the leading process's value."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, group=self.group)
        return values[0]

    def collected(self, value: Any) -> list[Any]:
        """Return the leading process the values of all, by rank, and the others an empty list."""
        if self.size == 1:
            return [value]
        values = [None] * self.size if self.leads else None
        dist.gather_object(value, values, group=self.group)
        return values or []

    def largest(self, *values: int) -> tuple[int, ...]:
        """Return the largest of each value over the processes; no GPU has a part in it or is waited for."""
        if self.size == 1:
            return values
        everyones = torch.tensor(values)
        dist.all_reduce(everyones, dist.ReduceOp.MAX, self.group)
        return tuple(everyones.tolist())

    def mean(self, values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the means over the processes of scalars by name, the same names in each."""
        if self.size == 1 or not values:
            return dict(values)
        means = torch.stack([value.float() for value in values.values()])
        dist.all_reduce(means, group=self.group)
        return dict(zip(values, means / self.size, strict=True))


ALONE = World()
"""The world of a process that trains by itself."""


@contextmanager
def processes(device: torch.device) -> Iterator[tuple[World, torch.device]]:
    """Join the processes that torchrun started, while the block runs.

    Gives the world and this process's own device, of the type that was asked for. A block inside another
    one joins what the outer one has joined.
    """
    if launched_rank() is None:
        yield ALONE, device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if dist.is_initialized():
        yield World(dist.get_rank(), dist.get_world_size()), device
        return
    # tensors on the CPU go through gloo, beside those of GPUs
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        with warnings.catch_warnings():
            # not every scale uses every weight, so that DDP has to look, and finds in vain where it does
            warnings.filterwarnings("ignore", "find_unused_parameters=True was specified")
            # it is about writing into what a sharded module returns, which no loss does
            warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view", UserWarning)
            # its successor is not in all versions of torch that vartk takes
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            yield World(dist.get_rank(), dist.get_world_size()), device
    finally:
        dist.destroy_process_group()


class Parallel:
    """A module that all processes train alike, each on its part of the batch.

    Args:
        how: "ddp", each process has all weights; "fsdp", each keeps a share of them, and gathers those of
            a block when it is due (`fully_shard`, that is FSDP2). What is sharded comes from the CPU, so
            that no device ever holds all of it.

    Attributes:
        forward: what to call in training.
        sharded: whether the processes have shares of the weights.
    """

    def __init__(self, module: nn.Module, how: str, world: World, device: torch.device) -> None:
        self.sharded = how == "fsdp" and world.size > 1
        self._device = device
        self._replica = copy.deepcopy(module) if self.sharded and world.leads else None
        self.forward: Any = module if self.sharded else module.to(device)
        if self.sharded:
            shard(module, device)
        elif world.size > 1:
            self.forward = DistributedDataParallel(
                module, broadcast_buffers=False, find_unused_parameters=True
            )

    def exchange(self, wanted: bool) -> None:
        """Say whether the next backward pass adds up the gradients of all processes."""
        if isinstance(self.forward, DistributedDataParallel):  # shards always do, to stay shares
            self.forward.require_backward_grad_sync = wanted

    @contextmanager
    def whole(self, module: nn.Module) -> Iterator[nn.Module | None]:
        """Give the module, or its average, with all weights; None where shards leave them to the leader."""
        if not self.sharded:
            yield module
            return
        weights = gathered(module)
        if self._replica is None:
            yield None
            return
        self._replica.load_state_dict(weights)
        yield self._replica.to(self._device)
        self._replica.cpu()


def shard(module: nn.Module, device: torch.device) -> None:
    """Leave each process its share of the weights, on its device; the items of module lists are units."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for part in reversed(list(module.modules())):  # what is inside comes first
        if isinstance(part, nn.ModuleList):
            for block in part:
                fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)


def gathered(module: nn.Module) -> dict[str, Any]:
    """Return the leading process all weights of a sharded module, and the others nothing."""
    return get_model_state_dict(module, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
