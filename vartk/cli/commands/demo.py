"""vartk demo: the main job, from scratch."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import terminal
from ..arguments import add_device, add_json, add_overrides, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_overrides(parser, "train.tokenizer.steps=1000; `vartk config show demo` lists them")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("vartk-demo"),
        metavar="DIR",
        help="the folder for the models and pictures (default: vartk-demo)",
    )
    add_device(parser)
    add_json(parser)
    examples(
        parser,
        "vartk demo",
        "vartk demo train.tokenizer.steps=20 train.transformer.steps=20 --out quick",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, sample and say where everything is."""
    from ...config import parse_overrides
    from ...files import refuse_existing

    refuse_existing(arguments.out)
    overrides = parse_overrides(arguments.overrides)
    from ...tasks.demo import run_demo
    from ..progress import TrainingBar, bars

    with bars() as add_bar:
        made = run_demo(
            arguments.out,
            overrides,
            add_bar=add_bar,
            reporter=TrainingBar,
            device=arguments.device,
            event=terminal.note,
        )
    classes = ",".join(made["classes"][:2])
    text = (
        f"Done in {made['seconds']} s.\n"
        f"  model in the box    {made['embedded']}\n"
        f"  samples             {made['grid']}\n"
        f"  coarse to fine      {made['strip']}\n"
        f"  reconstructions     {made['reconstructions']}\n"
        f"  report              {made['report']}\n"
        f"  model               {made['model']}\n"
        "Next:\n"
        "  vartk sample emoji64 --class food-noto,flags-noto --count 8 --out samples\n"
        f"  vartk sample {made['model']} --class {classes} --count 8 --out small\n"
        "  vartk demo train.tokenizer.steps=3000 train.transformer.steps=3000 --out longer\n"
        "  vartk list            the parts that you can swap by name"
    )
    terminal.result(made, arguments.json, text)
    return 0
