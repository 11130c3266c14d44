"""vartk env: versions, devices and usable components."""

from __future__ import annotations

import argparse

from .. import terminal
from ..arguments import add_json, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_json(parser)
    examples(parser, "vartk env", "vartk env --json")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the lines."""
    from ...environment import environment

    lines = list(environment())
    if arguments.json:
        terminal.result(dict(lines), as_json=True)
        return 0
    width = max(len(what) for what, _ in lines)
    for what, value in lines:
        terminal.out(f"{what:{width}}  {value}")
    return 0
