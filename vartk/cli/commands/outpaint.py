"""vartk outpaint: draws around a picture on a larger canvas."""

from __future__ import annotations

import argparse

from ..arguments import examples
from ..zero_shot.common import add_composite, add_drawing, add_fit, add_image, add_window, draw

PLACES = ("center", "top", "bottom", "left", "right", "top-left", "top-right", "bottom-left", "bottom-right")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_image(parser)
    parser.add_argument(
        "--canvas",
        type=_canvas,
        required=True,
        metavar="WxH",
        help="width and height of the canvas, in those of the picture: 2x1 doubles the width",
    )
    parser.add_argument(
        "--at",
        choices=PLACES,
        default="center",
        metavar="PLACE",
        help=f"where the picture is on the canvas: {', '.join(PLACES)} (default: center)",
    )
    add_composite(parser)
    add_fit(parser, "tile")
    add_window(parser, "the picture's shorter side, and at least the model's")
    add_drawing(parser)
    examples(
        parser,
        "vartk outpaint emoji64 photo.png --canvas 2x1 --at left --count 4 --out wide",
        "vartk outpaint var-d16 dog.jpg --canvas 1.5x1.5 --class 207 guidance.scale=2 --out around",
        "vartk outpaint emoji64 photo.png --canvas 2x2 --fit pad --out at-once",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw and write the images."""

    def task(model, draws, add_bar):
        from ...tasks.zero_shot.painting import extend

        return extend(
            model,
            arguments.image,
            arguments.out,
            draws,
            canvas=arguments.canvas,
            at=arguments.at,
            composite=arguments.composite,
            fit=arguments.fit,
            window=arguments.window,
            add_bar=add_bar,
        )

    return draw(arguments, task)


def _canvas(text: str) -> tuple[float, float]:
    """Return the two numbers of a canvas."""
    try:
        width, height = (float(side) for side in text.lower().split("x"))
    except ValueError:
        width = height = 0.0
    if not (1 <= width <= 100 and 1 <= height <= 100):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no canvas; give its width and height in those of the picture, 1 to 100, as in 2x1"
        )
    return width, height
