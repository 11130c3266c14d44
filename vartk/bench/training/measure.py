"""Seconds and memory of a training step, in several ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from vartk_registry import VartkError

from ...config import Config
from ...engine.device import as_device
from ..attention.peak import matmul_peak
from ..flops.count import count_forward
from ..memory import MEANING, Failed, peak_memory
from ..timing import Progress, in_turns, spread
from .rows import Row
from .runners import AnyRunner, make_runner

TOLERANCE = {"transformer": {"fp32": 1e-4, "bf16": 1e-2}, "tokenizer": {"fp32": 1e-3, "bf16": 0.2}}
"""How far a row's losses and gradient norm may be from those of `plain`, relatively, by its precision.

A tokenizer's are less close: rounding can turn a vector to another code.
"""


def bench_training(
    rows: Sequence[Row],
    configs: Mapping[str, Config],
    *,
    repeats: int,
    device: str,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> dict[str, Any]:
    """Measure each row, `plain` among them, and return the numbers, ready for JSON.

    Each is first done alone, for its memory; then those that are alike are compared with `plain`, and all
    are timed in turns. A row that cannot run here has a reason instead of numbers.

    Args:
        configs: by the row's name.
        progress: called with what is done, the total, and what was done last.

    Raises:
        VartkError: `plain` cannot run here, or a row does not compute what it computes.
    """
    where = as_device(device)
    counted = Progress(progress, len(rows) * (repeats + 2))
    memory, refused = _memory(rows, configs, where, counted)
    counted.add("", len(refused) * (repeats + 1))
    plain, stage = rows[0], rows[0].stage
    runners: dict[str, AnyRunner] = {}
    losses = {}
    for row in (row for row in rows if row.name not in refused):
        runner = make_runner(row, configs[row.name], where, runners.get(plain.name))
        runners[row.name] = runner
        losses[row.name] = runner.numbers()
        precision = getattr(configs[row.name].train, stage).precision
        if row.alike:
            check_agreement(row.name, losses[row.name], losses[plain.name], TOLERANCE[stage][precision])
        runner.step()  # the first one in training mode compiles, and fills caches
        counted.add(f"warm-up of {row.name}")
    steps = {name: runner.step for name, runner in runners.items()}
    measured = in_turns(steps, repeats, where, lambda name: counted.add(f"time of {name}"))
    first = runners[plain.name]
    peak = matmul_peak(torch.bfloat16, where)
    tokens, batch = first.model.schedule.total, len(first.images)
    # a backward pass has the products of two forward passes
    flops = {
        row.name: 3 * count_forward(configs[row.name], stage) for row in rows if row is plain or not row.alike
    }
    times = {name: spread([s / batch for s in seconds]) for name, seconds in measured.items()}
    found = {
        name: {
            "seconds_per_image": asdict(times[name]),
            "tokens_per_second": tokens / times[name].median,
            "flops_per_image": flops.get(name, flops[plain.name]),
            "mfu": flops.get(name, flops[plain.name]) / times[name].median / peak,
            "speedup": times[plain.name].median / times[name].median,
            "peak_memory_bytes": memory[name],
            "loss": losses[name]["loss"],
        }
        for name in runners
    }
    return {
        "benchmark": "train",
        "stage": stage,
        "batch": batch,
        "repeats": repeats,
        "device": str(where),
        "threads": torch.get_num_threads(),
        "matmul": torch.get_float32_matmul_precision(),
        "parameters": sum(parameter.numel() for parameter in first.stage.module.parameters()),
        "tokens": tokens,
        "peak_flops": peak,
        "memory": f"{MEANING[where.type]}, in two steps of the row",
        "rows": [
            {"row": row.name, "what": row.summary, **found.get(row.name, {"refused": refused.get(row.name)})}
            for row in rows
        ],
    }


def _memory(
    rows: Sequence[Row], configs: Mapping[str, Config], device: torch.device, counted: Progress
) -> tuple[dict[str, int], dict[str, str]]:
    """Return the peak memory of the rows that run here, and of the others the reason why they do not."""
    memory, refused = {}, {}
    for row in rows:
        try:
            memory[row.name] = peak_memory(device, two_steps, row, configs[row.name], device)
        except Failed as error:
            if row is rows[0]:
                raise VartkError(f"row {row.name!r} cannot run here: {error}") from error
            refused[row.name] = str(error)
        counted.add(f"memory of {row.name}")
    return memory, refused


def two_steps(row: Row, config: Config, device: torch.device) -> None:
    """Do a row's first two steps, and encode images only if it does: the memory of both is measured."""
    runner = make_runner(row, config, device, encode=row.encodes)
    runner.step()
    runner.step()


def check_agreement(
    name: str, numbers: Mapping[str, float], expected: Mapping[str, float], tolerance: float
) -> None:
    """Raise `VartkError` where a number is not finite, or differs by more than `tolerance`, relatively."""
    wrong = [
        f"{key} is {numbers[key]:.6g} and not {value:.6g}"
        for key, value in expected.items()
        if not abs(numbers[key] - value) <= tolerance * abs(value)
    ]
    if wrong:
        raise VartkError(
            f"row {name!r} does not compute what 'plain' does, to a relative {tolerance:g}: "
            f"{'; '.join(wrong)}; nothing was timed"
        )
