"""How the result of `vartk bench decode` is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vartk_registry import counted

from ...tables import Table
from ..report import Report
from .measure import shown

WORKED = "processor, s / image"

COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "peak memory beside the model": lambda row: f"{row['peak_memory_bytes'] / 2**20:.0f} MiB",
    "s / image": lambda row: f"{row['seconds']['median']:.3g}",
    "lowest to highest": lambda row: f"{row['seconds']['low']:.3g} to {row['seconds']['high']:.3g}",
    WORKED: lambda row: f"{row['processor_seconds']:.3g}",
    "PSNR": lambda row: "equal" if row["psnr"] is None else f"{row['psnr']:.1f} dB",
}
"""What is shown of a row, after its tiles."""


def report(result: Mapping[str, Any]) -> Report:
    """Return what is shown of a result; on a GPU the processor's time says nothing."""
    columns = {name: of for name, of in COLUMNS.items() if name != WORKED or result["device"] == "cpu"}
    rows = [
        (shown(row["tile"]), f"not here: {row['refused']}", *["-"] * (len(columns) - 1))
        if "refused" in row
        else (shown(row["tile"]), *(of(row) for of in columns.values()))
        for row in result["rows"]
    ]
    return Report(result["benchmark"], _protocol(result), [Table(("tiles", *columns), rows, "Decoding")])


def _protocol(result: Mapping[str, Any]) -> str:
    height, width = result["size"]
    worked = "The processor's seconds are those that this process computed, summed over its threads. "
    on_cpu = result["device"] == "cpu"
    return (
        f"Decoding one random latent to {width}x{height} pixels with {result['model']} ({result['weights']} "
        f"weights) on {result['device']} with {counted(result['threads'], 'thread')}, in precision "
        f"{result['precision']} ({result['dtype']}); medians of {counted(result['repeats'], 'turn')} a row, "
        "the rows in turns. A tile has so many pixels a side. PSNR is against the first row's image. "
        f"{worked if on_cpu else ''}Peak memory is {result['memory']}, a median, less that of decoding "
        "a latent of 2x2 cells."
    )
