"""vartk sample: images of classes or prompts."""

from __future__ import annotations

import argparse

from vartk_registry import counted

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
    add_size,
    examples,
    labels_for,
    prompts_of,
    whole_number,
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, a run, or a published name")
    add_overrides(parser, "guidance.scale=3 sampler.top_k=100 cache=full attention=sdpa")
    add_classes(parser, "all classes by default")
    add_prompts(parser)
    add_negative(parser)
    add_draws(parser, "one per class or prompt")
    add_size(parser)
    parser.add_argument(
        "--refiner",
        metavar="MODEL",
        help="a smaller model with the same tokenizer, which draws the scales after the first ones (CoDe)",
    )
    parser.add_argument(
        "--draft",
        type=whole_number(0, 10**9),
        metavar="N",
        help="with --refiner: number of scales that the first model draws",
    )
    parser.add_argument(
        "--format",
        choices=("png", "npz"),
        default="png",
        help="png: one file per image; npz: one file in the layout of the ADM evaluation suite",
    )
    add_out(parser, "the folder for the images")
    add_device(parser)
    add_json(parser)
    examples(
        parser,
        "vartk sample runs/transformer --out samples",
        "vartk sample runs/transformer guidance.scale=3 --class 2,5 --count 16 --seed 0 --out more",
        "vartk sample emoji64 --size 96x64 --out wide",
        "vartk sample var-d30 --refiner var-d16 --draft 8 --class 207 --out golden",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Sample and write the images."""
    terminal.note(f"loading {arguments.model}")
    from ...config import parse_overrides
    from ...files import refuse_existing
    from ...hub import load
    from ...tasks.sample import sample_to_folder
    from ..progress import bars

    refuse_existing(arguments.out)
    settings = parse_overrides(arguments.overrides).values
    if arguments.size is not None:
        settings = {**settings, "size": arguments.size}
    model = load(arguments.model, device=arguments.device)
    refiner = arguments.refiner and load(arguments.refiner, device=arguments.device)
    prompts = prompts_of(arguments.prompts, arguments.prompts_file)
    labels = labels_for(model, arguments.classes, prompts)
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
            refiner=refiner,
            draft=arguments.draft,
            negative=arguments.negative,
        )
    text = f"{counted(made['count'], 'image')}: {arguments.out}\ngrid: {arguments.out / 'grid.png'}"
    terminal.result(made, arguments.json, text)
    return 0
