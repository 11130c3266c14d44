"""How the result of `vartk bench attention` is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vartk_registry import counted

from ...tables import Table
from ..memory import MEANING
from ..report import Report
from .measure import BACKWARD

HEADINGS = (
    "workload",
    "pass",
    "dtype",
    "batch",
    "heads",
    "backend",
    "ms",
    "lowest to highest",
    "TFLOP/s",
    "of peak",
    "memory",
)


def report(result: Mapping[str, Any]) -> Report:
    """Return what is shown of a result."""
    tables = [
        Table(HEADINGS, list(_rows(result)), "Attention"),
        Table(("what", "most"), list(_peaks(result)), "The machine's peaks"),
    ]
    if absent := list(result["absent"].items()):
        tables.append(Table(("backend", "why"), absent, "Backends that do not run here"))
    return Report(result["benchmark"], _protocol(result), tables)


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for row in result["rows"]:
        case = row["case"]
        head = (
            f"{case['workload']} {case['shape']}",
            case["pass"],
            case["dtype"],
            str(case["batch"]),
            f"{case['heads']} x {case['head_dim']}",
            row["backend"],
        )
        if "seconds" not in row:
            why = f"not here: {row['refused']}" if "refused" in row else f"wrong: {row['wrong']}"
            yield (*head, "-", "-", "-", "-", why)
            continue
        median, low, high = (_milli(row["seconds"][name]) for name in ("median", "low", "high"))
        yield (
            *head,
            median,
            f"{low} to {high}",
            f"{row['flops_per_second'] / 1e12:.3g}",
            f"{row['peak_share']:.0%}",
            f"{row['extra_memory_bytes'] / 2**20:,.0f} MiB",
        )


def _milli(seconds: float) -> str:
    """Return milliseconds with three digits, or more before the point."""
    return f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:,.0f}"


def _peaks(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for dtype, peak in result["peak_flops"].items():
        yield f"matrix products, {dtype}", f"{peak / 1e12:.3g} TFLOP/s"
    yield "copying memory", f"{result['bandwidth'] / 1e9:.3g} GB/s"


def _protocol(result: Mapping[str, Any]) -> str:
    device = result["device"]
    return (
        f"Attention on {device} with {counted(result['threads'], 'thread')}; medians of "
        f"{counted(result['repeats'], 'turn')} a backend, taken in turns, in which short calls are repeated. "
        "Before that, each output and gradient was held against eager attention in float32. FLOP are 4 x "
        f"head dim x the pairs that the mask lets through x heads x batch, and {BACKWARD} times as many for "
        "a backward pass, in which a fused kernel computes the scores again. The peaks were measured before "
        f"and after; float32 matrix products have torch's precision {result['matmul']!r}. Memory is what a "
        f"call adds to its inputs, where memory is {MEANING[device.partition(':')[0]]}."
    )
