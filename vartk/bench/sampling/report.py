"""How the result of `vartk bench sample` is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vartk_registry import counted

from ...tables import Table
from ..report import Report

HEADINGS = (
    "batch",
    "precision",
    "attention",
    "s / image",
    "lowest to highest",
    "speed-up",
    "transformer",
    "filter and draw",
    "decoder",
    "peak memory",
    "codes alike",
    "PSNR",
)


def report(result: Mapping[str, Any]) -> Report:
    """Return what is shown of a result."""
    grids = [f"{h}x{w}" for h, w in result["schedule"]]
    return Report(
        result["benchmark"],
        _protocol(result),
        [
            Table(HEADINGS, list(_rows(result)), "Sampling"),
            Table(
                ("batch", "precision", "attention", *grids), list(_scales(result)), "ms an image, by scale"
            ),
        ],
    )


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for row in result["rows"]:
        way = str(row["batch"]), row["precision"], row["attention"]
        if "refused" in row:
            yield (*way, f"not here: {row['refused']}", *["-"] * (len(HEADINGS) - len(way) - 1))
            continue
        seconds = row["seconds_per_image"]
        yield (
            *way,
            f"{seconds['median']:.3g}",
            f"{seconds['low']:.3g} to {seconds['high']:.3g}",
            f"{row['speedup']:.2f} x",
            f"{row['transformer_seconds']:.3g}",
            f"{row['draw_seconds'] / seconds['median']:.1%}",
            f"{row['decoder_seconds']:.3g}",
            f"{row['peak_memory_bytes'] / 2**30:.2f} GiB",
            f"{row['codes_alike']:.2%}",
            "equal" if row["psnr"] is None else f"{row['psnr']:.1f} dB",
        )


def _scales(result: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for row in result["rows"]:
        if "refused" not in row:
            times = (f"{1000 * seconds:.3g}" for seconds in row["scale_seconds"])
            yield str(row["batch"]), row["precision"], row["attention"], *times


def _protocol(result: Mapping[str, Any]) -> str:
    first = result["rows"][0]["precision"]
    parts = ", ".join(f"{name} {count:,}" for name, count in result["parameters"].items())
    return (
        f"Sampling with {result['model']} ({result['weights']} weights; parameters: {parts}) on "
        f"{result['device']} with {counted(result['threads'], 'thread')}; medians of "
        f"{counted(result['repeats'], 'turn')} a row, the rows of one batch size in turns. The transformer's "
        "time holds guidance, draws and the tokenizer's accumulation. Filter and draw are timed alone, on "
        "the logits of one generation, and given as a share of the time per image. Codes are alike, and "
        f"images have the PSNR, beside {first} after the same coarser codes. Float32 matrix products "
        f"have torch's precision {result['matmul']!r}. Peak memory is {result['memory']}."
    )
