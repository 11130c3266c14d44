"""vartk export: a model in the format of others."""

from __future__ import annotations

import argparse

from .. import terminal
from ..arguments import add_json, add_out, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, a training run or a published name")
    parser.add_argument(
        "--to",
        required=True,
        metavar="FORMAT",
        help="safetensors: one file with the configuration in its metadata; original: the files of the "
        "original VAR; onnx-decoder: what turns codes into images, for other runtimes; or an importer of a "
        "plugin that can write",
    )
    add_out(parser, "the new folder")
    add_json(parser)
    examples(
        parser,
        "vartk export runs/transformer --to safetensors --out one-file",
        "vartk export var-d16 --to original --out original",
        "vartk export emoji64 --to onnx-decoder --out decoder",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Export."""
    from ...tasks.sharing.export import export

    files = export(arguments.model, arguments.to, arguments.out)
    text = "\n".join(str(arguments.out / file) for file in files)
    terminal.result({"folder": str(arguments.out), "files": files}, arguments.json, text)
    return 0
