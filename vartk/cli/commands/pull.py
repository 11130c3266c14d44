"""vartk pull: a model of the Hugging Face hub as a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import terminal
from ..arguments import add_json, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("repo", metavar="USER/NAME", help="the repository")
    parser.add_argument("--revision", metavar="REV", help="a branch, a tag or a commit")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the new folder (default: NAME)")
    add_json(parser)
    examples(parser, "vartk pull me/emoji", "vartk pull me/emoji --revision trial --out models/trial")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Download."""
    from ...tasks.first_use import first_command
    from ...tasks.sharing.push import pull

    folder = pull(
        arguments.repo,
        arguments.out or Path(arguments.repo.rpartition("/")[2]),
        revision=arguments.revision,
    )
    text = f"model: {folder}\nnext: {first_command(folder)}"
    terminal.result({"model": str(folder)}, arguments.json, text)
    return 0
