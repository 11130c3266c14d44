"""vartk push: a model to the Hugging Face hub."""

from __future__ import annotations

import argparse

from .. import terminal
from ..arguments import add_json, examples
from .card import add_card


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, a training run or a published name")
    parser.add_argument("repo", metavar="USER/NAME", help="the repository; it is made if there is none")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--revision", metavar="BRANCH", help="the branch; it is made if there is none")
    add_card(parser)
    add_json(parser)
    examples(
        parser,
        "vartk push runs/transformer me/emoji --license mit",
        "vartk push runs/transformer me/emoji --private --revision trial",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Upload."""
    from ...tasks.sharing.push import push

    address = push(
        arguments.model,
        arguments.repo,
        private=arguments.private,
        revision=arguments.revision,
        licence=arguments.license,
        evaluation=arguments.evaluation,
        tell=terminal.note,
    )
    text = f'{address}\nnext: vartk pull {arguments.repo}, or vartk.load("{arguments.repo}") in Python'
    terminal.result({"repo": arguments.repo, "commit": address}, arguments.json, text)
    return 0
