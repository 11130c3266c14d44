"""vartk new-plugin: a distribution to begin with."""

from __future__ import annotations

import argparse
from pathlib import Path

from vartk_registry import KINDS

from .. import terminal
from ..arguments import add_json, chosen, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="the distribution, such as vartk-frozen")
    parser.add_argument(
        "--kind",
        required=True,
        metavar="A,B",
        help=f"the kinds of its components, one or more of {', '.join(KINDS)}",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the new folder (default: NAME in this folder)"
    )
    add_json(parser)
    examples(
        parser,
        "vartk new-plugin vartk-frozen --kind cache",
        "vartk new-plugin vartk-mine --kind sampler,guidance --out plugins/mine",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the distribution."""
    from ...tasks.new_plugin import new_plugin

    kinds = chosen("kind", arguments.kind, KINDS)
    out = arguments.out or Path(arguments.name)
    files = [str(path) for path in new_plugin(arguments.name, kinds, out)]
    listed = "\n".join(f"  {path}" for path in files)
    text = f"plugin: {out}\n{listed}\nnext: cd {out} && pip install -e '.[test]' && pytest"
    terminal.result({"plugin": str(out), "files": files}, arguments.json, text)
    return 0
