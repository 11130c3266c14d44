"""vartk card: a model card for a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from vartk_registry import VartkError

from .. import terminal
from ..arguments import add_device, add_json, examples


def add_card(parser: argparse.ArgumentParser) -> None:
    """Add what a card is made of."""
    parser.add_argument("--license", metavar="ID", help="the licence of the weights, such as mit")
    parser.add_argument(
        "--evaluation",
        type=Path,
        metavar="DIR",
        help="a folder that `vartk eval --out` wrote, for the numbers",
    )


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model folder or a training run")
    add_card(parser)
    parser.add_argument("--replace", action="store_true", help="write over a card that is there already")
    add_device(parser)
    add_json(parser)
    examples(parser, "vartk card runs/transformer --license mit --evaluation evaluation")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the card into the model's folder."""
    from ...hub import local_model
    from ...tasks.sharing.card import CARD, is_card, make_card

    folder = local_model(arguments.model)
    if folder is None:
        raise VartkError(f"{arguments.model} is no model folder here; `vartk pull` fetches one of the hub")
    if is_card(folder / CARD) and not arguments.replace:
        raise VartkError(f"{folder / CARD} is a model card already; give --replace to write over it")
    card = make_card(
        arguments.model,
        str(folder),
        licence=arguments.license,
        evaluation=arguments.evaluation,
        device=arguments.device,
    )
    files = [str(path) for path in card.write(folder)]
    terminal.result({"files": files}, arguments.json, "\n".join(files))
    return 0
