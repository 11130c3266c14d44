"""vartk convert: other projects' checkpoints as model folders."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import terminal
from ..arguments import add_json, add_out, add_overrides, examples

KINDS = "*.safetensors or *.index.json"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--tokenizer", type=Path, required=True, metavar="FILE", help=f"the file vae*.pth, {KINDS}"
    )
    parser.add_argument(
        "--transformer",
        type=Path,
        metavar="FILE",
        help=f"the file var*.pth, {KINDS}; without it, convert only the tokenizer",
    )
    parser.add_argument("--from", dest="importer", default="var", help="the importer (default: var)")
    add_overrides(
        parser, "heads=16 cosine=true schedule=[1,2,4], for what the files do not contain, or ema=true"
    )
    add_out(parser, "the model folder")
    add_json(parser)
    examples(
        parser,
        "vartk show importer/var",
        "vartk convert --tokenizer vae_ch160v4096z32.pth --transformer var_d16.pth --out var-d16",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Convert."""
    from ...config import parse_overrides
    from ...hub import convert
    from ...tasks.first_use import first_command

    settings = parse_overrides(arguments.overrides).values
    notes = convert(
        arguments.tokenizer,
        arguments.transformer,
        arguments.out,
        importer=arguments.importer,
        settings=settings,
    )
    for note in notes:
        terminal.note(note)
    text = f"model: {arguments.out}\nnext: {first_command(arguments.out)}"
    terminal.result({"model": str(arguments.out)}, arguments.json, text)
    return 0
