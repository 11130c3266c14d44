"""What the commands print: results to stdout, progress and messages to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vartk_registry import PluginReport

from ..environment import launched_rank
from ..tables import Table
from .streams import results


def silent() -> bool:
    """Return whether another of several processes speaks for this one: torchrun's first."""
    return bool(launched_rank())


def out(text: str = "") -> None:
    """Print a line of the result."""
    if not silent():
        print(text, file=results())


def note(text: str) -> None:
    """Print a line about what happens."""
    if not silent():
        print(text, file=sys.stderr, flush=True)


def trace(reports: Iterable[PluginReport]) -> None:
    """Print the plugins in the order in which they were loaded, with the time that each one took."""
    for report in reports:
        offer = report.error or ", ".join(report.components)
        note(f"{1e3 * report.seconds:7.1f} ms  {report.name} ({report.distribution}) {report.state}: {offer}")


def error(text: str) -> None:
    """Print a user's mistake."""
    which = f" (process {launched_rank()})" if silent() else ""
    print(f"vartk{which}: {text}", file=sys.stderr)


def table(rows: Iterable[Sequence[str]], headings: Sequence[str]) -> None:
    """Print rows under headings: wrapped to fit a terminal, in whole lines to a pipe or a file."""
    lines = [headings, *rows]
    if results().isatty():
        _wrapped(lines)
        return
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip(), file=results())


def tables(made: Iterable[Table]) -> None:
    """Print tables under their titles, an empty line after each."""
    for one in made:
        if one.title:
            out(f"{one.title}\n")
        table(one.rows, one.headings)
        out()


def result(values: Mapping[str, Any], as_json: bool, text: str = "") -> None:
    """Print a command's result: lines of text, or one JSON object as the last line."""
    if as_json:
        out(json.dumps(_finite(values)))
    elif text:
        out(text)


def _wrapped(lines: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    headings, *rows = lines
    made = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        made.add_row(*map(Text, row))
    Console(file=results()).print(made)


def _finite(value: Any) -> Any:
    """Replace numbers that JSON lacks (the PSNR of identical images is infinite) by null."""
    if isinstance(value, float):
        return value if abs(value) != float("inf") and value == value else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
