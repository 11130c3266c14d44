"""Where the result of a benchmark goes: the screen, one JSON object, a Markdown file."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import terminal

if TYPE_CHECKING:
    from ....bench.report import Report


def add_file(parser: argparse.ArgumentParser) -> None:
    """Add --out."""
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the result to this Markdown file")


def refuse_existing_files(*paths: Path | None) -> None:
    """Raise `VartkError` if one of the files is there already, before anything is measured."""
    from ....files import refuse_existing

    for path in paths:
        if path is not None:
            refuse_existing(path)


def write(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    from ....files import whole_file

    with whole_file(path) as aside:
        aside.write_text(text)


def show(result: Mapping[str, Any], report: Report, command: str, arguments: argparse.Namespace) -> None:
    """Write the file that was asked for, and print the result: tables, or JSON.

    `command` measures the same again.
    """
    from ....bench.report import markdown

    if arguments.out is not None:
        write(arguments.out, markdown(report, command))
    if arguments.json:
        terminal.result({"command": command, **result}, as_json=True)
        return
    terminal.tables(report.tables)
    terminal.out(report.protocol)
