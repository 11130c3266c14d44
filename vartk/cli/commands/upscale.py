"""vartk upscale: enlarges a picture; the model draws the fine scales."""

from __future__ import annotations

import argparse

from ..arguments import examples, whole_number
from ..zero_shot.common import add_drawing, add_image, draw


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_image(parser)
    parser.add_argument(
        "--factor",
        type=_factor,
        default=2.0,
        metavar="F",
        help="how many times larger the result is (default: 2)",
    )
    parser.add_argument(
        "--keep",
        type=whole_number(0, 10**6),
        metavar="N",
        help="scales that are the picture's, from the first; the others are drawn (default: those that a "
        "picture of its size determines)",
    )
    add_drawing(parser)
    examples(
        parser,
        "vartk upscale emoji64 icon.png --factor 2 --class symbols-noto --out large",
        "vartk upscale var-d16 small.jpg --factor 4 --keep 7 --class 207 --out large",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw and write the images."""

    def task(model, draws, add_bar):
        from ...tasks.zero_shot.resampling import upscale

        return upscale(
            model,
            arguments.image,
            arguments.out,
            draws,
            factor=arguments.factor,
            keep=arguments.keep,
            add_bar=add_bar,
        )

    return draw(arguments, task)


def _factor(text: str) -> float:
    """Return a number above 1."""
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 1 < factor < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} does not enlarge; give a number above 1")
    return factor
