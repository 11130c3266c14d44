"""vartk interpolate: the images between two pictures, classes or prompts."""

from __future__ import annotations

import argparse

from ..arguments import examples, whole_number
from ..zero_shot.common import add_drawing, draw


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, a run, or a published name")
    parser.add_argument("start", metavar="A", help="a picture file, a class or a prompt")
    parser.add_argument("end", metavar="B", help="another one of the same sort")
    parser.add_argument(
        "--keep",
        type=whole_number(0, 10**6),
        metavar="N",
        help="between pictures: scales that are interpolated, from the first; the others are drawn (default: "
        "all are interpolated)",
    )
    add_drawing(parser, "between pictures: the class of all images", steps=8)
    examples(
        parser,
        "vartk interpolate emoji64 smileys-noto flags-noto --steps 8 --seed 3 --out between",
        "vartk interpolate emoji64 face.png heart.png --keep 5 --out between",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw and write the images."""

    def task(model, draws, add_bar):
        from ...tasks.zero_shot.resampling import interpolate

        return interpolate(
            model,
            arguments.start,
            arguments.end,
            arguments.out,
            draws,
            keep=arguments.keep,
            add_bar=add_bar,
        )

    return draw(arguments, task)
