"""vartk sample: images of classes."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import terminal
from .arguments import add_device, add_json, add_out, add_overrides, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, a run, or a published name")
    add_overrides(parser, "guidance.scale=3 sampler.top_k=100 cache=full attention=sdpa")
    parser.add_argument(
        "--class",
        dest="classes",
        action="append",
        metavar="A,B",
        help="class indices or names, taken in turn; all of them by default",
    )
    parser.add_argument("--count", type=int, metavar="N", help="images in all; one a class by default")
    parser.add_argument("--seed", type=int, default=0, help="of the first image; the next has the next")
    parser.add_argument(
        "--format",
        choices=("png", "npz"),
        default="png",
        help="png: a file an image; npz: one file in the layout of the ADM evaluation suite",
    )
    add_out(parser, "the folder for the images")
    add_device(parser)
    add_json(parser)
    examples(
        parser,
        "vartk sample runs/transformer --out samples",
        "vartk sample runs/transformer guidance.scale=3 --class 2,5 --count 16 --seed 0 --out more",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Sample and write the images."""
    from vartk_registry import VartkError

    if arguments.count is not None and arguments.count < 1:
        raise VartkError(f"--count {arguments.count} must be at least 1")
    from ..engine.files import refuse_existing

    refuse_existing(arguments.out)
    terminal.note(f"loading {arguments.model}")
    from ..config import parse_overrides
    from ..hub import load
    from ..tasks.sample import sample_to_folder
    from .progress import bars

    model = load(arguments.model, device=arguments.device)
    settings = parse_overrides(arguments.overrides).values
    labels = [name.strip() for given in arguments.classes or [] for name in given.split(",") if name.strip()]
    with bars() as add_bar:
        made = sample_to_folder(
            model,
            labels,
            arguments.count,
            arguments.out,
            seed=arguments.seed,
            settings=settings,
            file_format=arguments.format,
            add_bar=add_bar,
        )
    text = f"{made['count']} images: {arguments.out}\ngrid: {Path(arguments.out) / 'grid.png'}"
    terminal.result(made, arguments.json, text)
    return 0
