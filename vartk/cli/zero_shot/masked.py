"""What `vartk inpaint` and `vartk edit` share: masks, and how the drawn part comes into the picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import terminal
from .common import add_composite, add_drawing, add_fit, add_image, add_window, draw


def configure(parser: argparse.ArgumentParser, classes: str) -> None:
    """Add the arguments of both commands."""
    add_image(parser)
    parser.add_argument(
        "--mask", type=Path, metavar="FILE", help="a picture that is white where IMAGE is drawn anew"
    )
    parser.add_argument(
        "--box",
        dest="boxes",
        type=_box,
        action="append",
        default=[],
        metavar="L,T,R,B",
        help="a box that is drawn anew: left,top,right,bottom in pixels or fractions; you can repeat the "
        "option; with neither mask nor box, the transparent parts are drawn",
    )
    add_composite(parser)
    add_fit(parser, "pad")
    add_window(parser, "the model's own size; with --fit tile")
    add_drawing(parser, classes)


def run(arguments: argparse.Namespace) -> int:
    """Draw and write the images."""

    def task(model, draws, add_bar):
        from ...tasks.zero_shot.painting import paint

        return paint(
            model,
            arguments.image,
            arguments.out,
            draws,
            task=arguments.task,
            mask=arguments.mask,
            boxes=arguments.boxes,
            composite=arguments.composite,
            fit=arguments.fit,
            window=arguments.window,
            add_bar=add_bar,
            event=terminal.note,
        )

    return draw(arguments, task)


def _box(text: str) -> tuple[float, ...]:
    """Return the four numbers of a box."""
    try:
        box = tuple(float(side) for side in text.split(","))
    except ValueError:
        box = ()
    if len(box) != 4 or not all(0 <= side < float("inf") for side in box):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no box; give left,top,right,bottom, as in 0.5,0,1,1 for the right half"
        )
    return box
