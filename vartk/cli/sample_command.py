"""vartk sample: images of classes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from vartk_registry import VartkError, counted

from . import terminal
from .arguments import add_device, add_json, add_out, add_overrides, examples, whole_number


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, a run, or a published name")
    add_overrides(parser, "guidance.scale=3 sampler.top_k=100 cache=full attention=sdpa")
    parser.add_argument(
        "--class",
        dest="classes",
        action="append",
        metavar="A,B",
        help="class indices or names, taken in turn; may be repeated; all classes by default",
    )
    parser.add_argument(
        "--count",
        type=whole_number(1, 10**9),
        metavar="N",
        help="images in all; one for each class given by default",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="S",
        help="of the first image, counting up from it (default: 0)",
    )
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
    terminal.note(f"loading {arguments.model}")
    from ..config import parse_overrides
    from ..files import refuse_existing
    from ..hub import load
    from ..tasks.sample import sample_to_folder
    from .progress import bars

    refuse_existing(arguments.out)
    settings = parse_overrides(arguments.overrides).values
    model = load(arguments.model, device=arguments.device)
    labels = [label for text in arguments.classes or () for label in _labels(text, model.classes)]
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
    text = f"{counted(made['count'], 'image')}: {arguments.out}\ngrid: {arguments.out / 'grid.png'}"
    terminal.result(made, arguments.json, text)
    return 0


def _labels(text: str, classes: Sequence[str]) -> list[str]:
    """Return the classes that one --class names; a name may have commas of its own."""
    if text in classes:
        return [text]
    labels = [label.strip() for label in text.split(",")]
    if not all(labels):
        raise VartkError(f"--class {text!r} names no class; give indices or names, as in --class 0,1")
    return labels
