"""vartk sweep: the same seeds over a grid of settings and classes."""

from __future__ import annotations

import argparse

from vartk_registry import counted

from .. import terminal
from ..arguments import (
    add_device,
    add_json,
    add_out,
    add_overrides,
    add_seed,
    class_labels,
    examples,
    whole_number,
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, a run, or a published name")
    add_overrides(parser, "sampler.top_k=100 cache=full, which all images have")
    parser.add_argument(
        "--over",
        action="append",
        required=True,
        metavar="KEY=A,B",
        help="a setting, or class, and its values; you can repeat the option: the last one runs along the "
        "columns",
    )
    parser.add_argument(
        "--class", dest="label", metavar="A", help="the class, if --over names none (default: the first one)"
    )
    parser.add_argument(
        "--count",
        type=whole_number(1, 10**6),
        default=1,
        metavar="N",
        help="images of each cell (default: 1)",
    )
    add_seed(parser, "seed of the first image of each cell; each further one adds 1 (default: 0)")
    add_out(parser, "the folder for the images")
    add_device(parser)
    add_json(parser)
    examples(
        parser,
        "vartk sweep emoji64 --over guidance.scale=0,1,3 --over class=smileys-noto,flags-noto --out grid",
        "vartk sweep var-d16 --over cache=full,ams_kv,fastvar --class 207 --count 4 --out caches",
        "vartk sweep var-d16 sampler.top_k=900 --over sampler.top_p=0.8,0.96,1 --class 207 --out top-p",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Sample and write the images."""
    terminal.note(f"loading {arguments.model}")
    from ...config import parse_overrides
    from ...files import refuse_existing
    from ...hub import load
    from ...tasks.sweep import parse_axes, sweep_to_folder
    from ..progress import bars

    refuse_existing(arguments.out)
    settings = parse_overrides(arguments.overrides).values
    model = load(arguments.model, device=arguments.device)
    axes = parse_axes(arguments.over, lambda text: class_labels([text], model.classes))
    with bars() as add_bar:
        made = sweep_to_folder(
            model,
            arguments.model,
            axes,
            arguments.out,
            label=arguments.label,
            count=arguments.count,
            seed=arguments.seed,
            settings=settings,
            add_bar=add_bar,
        )
    text = f"{counted(made['count'], 'image')}: {arguments.out}\ngrid: {arguments.out / 'grid.png'}"
    terminal.result(made, arguments.json, text)
    return 0
