"""vartk inpaint: draws a part of a picture anew."""

from __future__ import annotations

import argparse

from ..arguments import examples
from ..zero_shot import masked


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    masked.configure(parser, "no class by default")
    examples(
        parser,
        "vartk inpaint emoji64 photo.png --box 0.5,0,1,1 --count 4 --out filled",
        "vartk inpaint runs/transformer photo.png --mask mask.png --class dogs --out filled",
        "vartk inpaint var-d16 wide.jpg --mask mask.png --fit tile guidance.scale=3 --out filled",
    )
    parser.set_defaults(run=masked.run, task="inpaint")
