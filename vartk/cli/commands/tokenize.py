"""vartk tokenize: the codes of a dataset, written once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .. import terminal
from ..arguments import add_device, add_json, add_out, add_overrides, examples

if TYPE_CHECKING:
    import torch

    from ...config import Config


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "config", metavar="CONFIG", help="a preset or a YAML file with the data and the schedule"
    )
    add_overrides(parser, "train.transformer.views=4")
    parser.add_argument(
        "--tokenizer", required=True, metavar="MODEL", help="the model folder or run of stage one"
    )
    add_out(parser, "the folder for the tokens")
    add_device(parser)
    add_json(parser)
    examples(
        parser,
        "vartk tokenize demo --tokenizer runs/tokenizer --out runs/tokens",
        "vartk train transformer demo --tokenizer runs/tokenizer --tokens runs/tokens --out runs/b",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tokenize a dataset."""
    from ...components import plugins
    from ...config import Config, compose, load_layers, parse_overrides
    from ...engine.recipes import tokenizer_layer
    from ...hub import find_model

    tokenizer = find_model(arguments.tokenizer)
    layers = [
        *load_layers(arguments.config, plugins()),
        tokenizer_layer(tokenizer, plugins()),
        parse_overrides(arguments.overrides),
    ]
    config = compose(Config, layers, plugins()).config
    tokenize_with_bar(config, tokenizer, arguments.out, arguments.device)
    text = f"tokens: {arguments.out}"
    terminal.result({"tokens": str(arguments.out)}, arguments.json, text)
    return 0


def tokenize_with_bar(config: Config, tokenizer: Path, folder: Path, device: str | torch.device) -> None:
    """Write the tokens of a configuration's dataset, showing progress."""
    from ...engine.recipes import tokenize_dataset
    from ...tasks.both import split_bars
    from ..progress import bars

    with bars() as add_bar:
        progress = split_bars(add_bar)
        tokenize_dataset(config, tokenizer, folder, device=device, progress=progress, event=terminal.note)
