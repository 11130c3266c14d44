"""vartk edit: draws a part of a picture anew under another class."""

from __future__ import annotations

import argparse

from vartk_registry import VartkError

from ..arguments import examples
from ..zero_shot import masked


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    masked.configure(parser, "required")
    examples(
        parser,
        "vartk edit emoji64 face.png --box 0.1,0.1,0.9,0.9 --class animals-noto --count 4 --out edited",
        "vartk edit var-d16 dog.jpg --mask dog-mask.png --class 281,285 --out cats",
    )
    parser.set_defaults(run=run, task="edit")


def run(arguments: argparse.Namespace) -> int:
    """Draw and write the images."""
    if not (arguments.classes or arguments.prompts or arguments.prompts_file):
        raise VartkError(
            "vartk edit draws under a class or a prompt: give --class NAME or --prompt TEXT; `vartk inpaint` "
            "draws without one"
        )
    return masked.run(arguments)
