"""How the result of `vartk bench train` is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vartk_registry import counted

from ...tables import Table
from ..report import Report

HEADINGS = (
    "row",
    "what it does",
    "s / image",
    "lowest to highest",
    "tokens / s",
    "MFU",
    "speed-up",
    "peak memory",
)


def table(result: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each row of a result, under `HEADINGS`."""
    for row in result["rows"]:
        if "refused" in row:
            yield row["row"], row["what"], *["-"] * 5, f"not here: {row['refused']}"
            continue
        seconds = row["seconds_per_image"]
        yield (
            row["row"],
            row["what"],
            f"{seconds['median']:.3g}",
            f"{seconds['low']:.3g} to {seconds['high']:.3g}",
            f"{row['tokens_per_second']:,.0f}",
            f"{row['mfu']:.1%}",
            f"{row['speedup']:.2f} x",
            f"{row['peak_memory_bytes'] / 2**30:.2f} GiB",
        )


def protocol(result: Mapping[str, Any]) -> str:
    """Return in a sentence or two what was measured."""
    return (
        f"A training step of a {result['stage']} of {result['parameters']:,} parameters, "
        f"{result['tokens']} tokens an image, {counted(result['batch'], 'image')} a step, on "
        f"{result['device']} with {counted(result['threads'], 'thread')}; medians of "
        f"{counted(result['repeats'], 'step')} a row, taken in turns. Every row, but for those of another "
        f"model, gave the first one's losses and its gradient's norm; of the gradient no more is compared. "
        f"MFU is the share of {result['peak_flops'] / 1e12:.3g} TFLOP/s, the fastest bf16 product that "
        f"was measured, that the model's own products use. Float32 products have torch's precision "
        f"{result['matmul']!r}. Peak memory is {result['memory']}."
    )


def report(result: Mapping[str, Any]) -> Report:
    """Return what is shown of a result."""
    return Report(result["benchmark"], protocol(result), [Table(HEADINGS, list(table(result)))])
