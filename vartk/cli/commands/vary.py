"""vartk vary: keeps the first scales of a picture and draws the others."""

from __future__ import annotations

import argparse

from ..arguments import examples, whole_number
from ..zero_shot.common import add_drawing, add_image, draw


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_image(parser)
    parser.add_argument(
        "--keep",
        type=whole_number(0, 10**6),
        required=True,
        metavar="N",
        help="scales that are kept, from the first: many for close variations, few for distant ones",
    )
    parser.add_argument(
        "--fit",
        choices=("pad", "stretch"),
        default="pad",
        help="how a picture of another size than the model's is drawn: resized and padded, or stretched "
        "(default: pad)",
    )
    add_drawing(parser)
    examples(
        parser,
        "vartk vary emoji64 face.png --keep 5 --count 4 --out variations",
        "vartk vary var-d16 dog.jpg --keep 4 --class 207 guidance.scale=2 --count 8 --out dogs",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw and write the images."""

    def task(model, draws, add_bar):
        from ...tasks.zero_shot.resampling import vary

        return vary(
            model,
            arguments.image,
            arguments.out,
            draws,
            keep=arguments.keep,
            fit=arguments.fit,
            add_bar=add_bar,
        )

    return draw(arguments, task)
