"""Workload files: which calls of attention `vartk bench attention` measures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from vartk_registry import MaskSpec, Registry, VartkError, param, require_reachable, shortened, suggestion
from vartk_registry.interfaces import AttentionRequest
from vartk_registry.params import merge_params

from ...config import Slot, read_yaml
from ...engine.build import build_schedule

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""torch's names of the number formats, by the names that files and arguments have."""

SHIPPED = Path(__file__).with_name("workloads")


@dataclass(kw_only=True, slots=True)
class Workload:
    """The keys of a workload file."""

    schedule: Any = param(MISSING, "a schedule by name, or {name, parameters}")
    latent: list[int] = param(MISSING, "the latent grid, [height, width] in cells", low=1)
    width: int = param(MISSING, "channels of a token: heads x head dim", low=1)
    head_dims: list[int] = param(MISSING, "channels of a head, each of them measured", low=1)
    dtypes: list[str] = param(MISSING, "number formats, each of them measured", choices=tuple(DTYPES))
    batches: list[int] = param(MISSING, "samples at once, each of them measured", low=1)
    training: bool = param(True, "all scales at once, forward, and forward with backward")
    steps: list[int] = param([], "cached steps of sampling, by index from 0", low=0)


@dataclass(frozen=True, slots=True)
class Case:
    """A call of attention, with the sizes of its tensors.

    Args:
        shape: "training" or "step K".
        backward: whether gradients of q, k and v follow.
        tokens: of the buffers that k and v are the front of, as a cache's are.
        dtype: a key of `DTYPES`.
    """

    workload: str
    shape: str
    backward: bool
    mask: MaskSpec
    tokens: int
    heads: int
    head_dim: int
    dtype: str
    batch: int

    @property
    def what(self) -> str:
        """What is measured: "forward", or with the gradients "forward + backward"."""
        return "forward + backward" if self.backward else "forward"

    def __str__(self) -> str:
        return (
            f"{self.workload} {self.shape}, {self.what}, {self.dtype}, batch {self.batch}, "
            f"{self.heads} x {self.head_dim}"
        )

    def request(self, device: str) -> AttentionRequest:
        """Return what a backend is asked."""
        dtype = DTYPES[self.dtype]
        return AttentionRequest(self.mask, self.heads, self.head_dim, dtype, device, self.backward)


def read_cases(names: Sequence[str], registry: Registry, dtypes: Sequence[str] = ()) -> list[Case]:
    """Return the cases of workloads that come with vartk, by name, or of YAML files.

    Args:
        dtypes: instead of the files' own.

    Raises:
        VartkError: there is no such workload, or a key or a value in it is wrong; names file and key.
    """
    return [case for name in names for case in _cases(_find(name), registry, dtypes)]


def shipped() -> list[str]:
    """Return the names of the workloads that come with vartk."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def _find(name: str) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml") and os.path.isfile(path):
        return path
    if name in shipped():
        return SHIPPED / f"{name}.yaml"
    require_reachable(path)
    raise VartkError(
        f"no workload {shortened(name)!r}: neither a YAML file nor vartk's own{suggestion(name, shipped())}"
    )


def _cases(path: Path, registry: Registry, dtypes: Sequence[str]) -> Iterator[Case]:
    workload = Workload(**merge_params(Workload, read_yaml(path), str(path)))
    for key in ("head_dims", "dtypes", "batches"):
        if not getattr(workload, key):
            raise VartkError(f"{path}: {key} is empty; list at least one")
    for head_dim in workload.head_dims:
        if workload.width % head_dim:
            raise VartkError(f"{path}: head_dims: width={workload.width} is no multiple of {head_dim}")
    sizes = product(workload.head_dims, dtypes or workload.dtypes, workload.batches)
    shapes = list(_shapes(path, workload, registry))
    for (head_dim, dtype, batch), (shape, backward, mask, tokens) in product(sizes, shapes):
        heads = workload.width // head_dim
        yield Case(path.stem, shape, backward, mask, tokens, heads, head_dim, dtype, batch)


def _shapes(path: Path, workload: Workload, registry: Registry) -> Iterator[tuple[str, bool, MaskSpec, int]]:
    """Yield the name, whether gradients follow, the mask and the keys in memory of each shape."""
    if len(workload.latent) != 2:
        raise VartkError(f"{path}: latent={workload.latent} must be [height, width]")
    height, width = workload.latent
    named = {"name": workload.schedule} if isinstance(workload.schedule, str) else workload.schedule
    if not isinstance(named, dict) or not isinstance(named.get("name"), str):
        raise VartkError(f"{path}: schedule={named!r} must be a name, or {{name, parameters}}")
    slot = Slot(name=named["name"], params={key: value for key, value in named.items() if key != "name"})
    try:
        schedule = build_schedule(slot, (height, width), registry)
    except VartkError as error:
        raise VartkError(f"{path}: schedule: {error}") from error
    if not workload.training and not workload.steps:
        raise VartkError(f"{path}: nothing is to be measured; set training: true, or list steps")
    if workload.training:
        for backward in (False, True):
            yield "training", backward, MaskSpec.scale_causal(schedule), schedule.total
    for step in workload.steps:
        if step >= len(schedule):
            raise VartkError(f"{path}: steps holds {step}, but the last scale is {len(schedule) - 1}")
        yield f"step {step}", False, MaskSpec.step(schedule, step), schedule.total
