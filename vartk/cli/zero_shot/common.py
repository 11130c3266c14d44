"""Arguments and output of every zero-shot command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vartk_registry import VartkError, counted

from .. import terminal
from ..arguments import (
    add_classes,
    add_device,
    add_draws,
    add_json,
    add_negative,
    add_out,
    add_overrides,
    add_prompts,
    add_seed,
    labels_for,
    prompts_of,
    whole_number,
)

if TYPE_CHECKING:
    from ...engine.model import Model
    from ...tasks.zero_shot.proposals import Draws


def add_image(parser: argparse.ArgumentParser) -> None:
    """Add MODEL and IMAGE."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, a run, or a published name")
    parser.add_argument("image", metavar="IMAGE", type=Path, help="a picture file of any size")


def add_drawing(
    parser: argparse.ArgumentParser, classes: str = "no class by default", steps: int | None = None
) -> None:
    """Add the settings, the classes, how many images are drawn, and where they go.

    With `steps`, the images are so many steps of a way, and the option is called so.
    """
    add_overrides(parser, "guidance.scale=3 sampler.top_k=100 cache=full precision=bf16")
    add_classes(parser, classes)
    add_prompts(parser)
    add_negative(parser)
    if steps is None:
        add_draws(parser, "one per class, or one")
    else:
        parser.add_argument(
            "--steps",
            dest="count",
            type=whole_number(2, 10**6),
            default=steps,
            metavar="N",
            help=f"number of images, both ends among them (default: {steps})",
        )
        add_seed(parser, "seed of every image (default: 0)")
    add_out(parser, "the folder for the images")
    add_device(parser)
    add_json(parser)


def add_composite(parser: argparse.ArgumentParser) -> None:
    """Add --composite."""
    parser.add_argument(
        "--composite",
        choices=("paste", "codes"),
        default="paste",
        help="paste: kept pixels stay as they are, the edge is blended; codes: as the original's notebook "
        "(default: paste)",
    )


def add_fit(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --fit."""
    parser.add_argument(
        "--fit",
        choices=("pad", "stretch", "tile"),
        default=default,
        help="how a picture of another size than the model's is drawn: resized and padded, stretched, or in "
        f"overlapping windows (default: {default})",
    )


def add_window(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --window."""
    parser.add_argument(
        "--window",
        type=whole_number(1, 10**6),
        metavar="PIXELS",
        help=f"the shorter side of a window of the picture (default: {default})",
    )


def draw(
    arguments: argparse.Namespace,
    task: Callable[[Model, Draws, Callable[[str, int], Any]], Mapping[str, Any]],
) -> int:
    """Load the model, run a task with it, and print where its images are."""
    terminal.note(f"loading {arguments.model}")
    from ...config import parse_overrides
    from ...engine.model import Model
    from ...files import refuse_existing
    from ...hub import load_scales
    from ...tasks.sample import negative_label
    from ...tasks.zero_shot.proposals import Draws
    from ..progress import bars

    refuse_existing(arguments.out)
    settings = parse_overrides(arguments.overrides).values
    model = load_scales(arguments.model, device=arguments.device)
    if not isinstance(model, Model):
        raise VartkError(
            f"{arguments.model} is not a next-scale model; zero-shot tasks need one, such as emoji64"
        )
    prompts = prompts_of(arguments.prompts, arguments.prompts_file)
    labels = labels_for(model, arguments.classes, prompts)
    if arguments.negative is not None:
        settings = {**settings, "negative": negative_label(model, arguments.negative)}
    draws = Draws(arguments.model, labels, arguments.count, arguments.seed, settings)
    with bars() as add_bar:
        made = task(model, draws, add_bar)
    text = f"{counted(made['count'], 'image')}: {arguments.out}\ngrid: {arguments.out / 'grid.png'}"
    terminal.result(made, arguments.json, text)
    return 0
