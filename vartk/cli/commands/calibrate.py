"""vartk calibrate: a cache strategy's parameters, measured on a model."""

from __future__ import annotations

import argparse

from .. import terminal
from ..arguments import (
    add_device,
    add_json,
    add_overrides,
    add_prompts,
    examples,
    labels_for,
    prompts_of,
    whole_number,
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Sample a few images, measure the parameters of a cache strategy on them, and write the parameters\n"
        "into the model folder. They become the strategy's defaults on this model."
    )
    parser.add_argument("model", metavar="MODEL", help="a model folder, a run, or a published name")
    add_overrides(parser, "cache=ams_kv guidance.scale=3")
    parser.add_argument(
        "--count",
        type=whole_number(1, 10**6),
        default=16,
        metavar="N",
        help="number of images, from all classes or prompts in turn (default: 16)",
    )
    add_prompts(parser)
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="S",
        help="seed of the first image; each further image adds 1 (default: 0)",
    )
    add_device(parser)
    add_json(parser)
    examples(
        parser,
        "vartk calibrate runs/transformer cache=ams_kv",
        "vartk calibrate runs/transformer cache=hack guidance.scale=2 --count 32 --seed 1",
        "vartk calibrate infinity cache=fastervar cache.scales=3 --prompts captions.txt",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Calibrate, and write what was found."""
    terminal.note(f"loading {arguments.model}")
    from ...config import parse_overrides
    from ...engine.folder import CONFIG
    from ...hub import find_model, load_scales
    from ...tasks.calibrate import calibrate, keep_calibration
    from ..progress import bars

    settings = parse_overrides(arguments.overrides).values
    prompts = prompts_of(arguments.prompts, arguments.prompts_file)
    folder = find_model(arguments.model)
    model = load_scales(folder, device=arguments.device)
    labels = labels_for(model, None, prompts)
    with bars() as add_bar:
        name, parameters = calibrate(model, settings, arguments.count, arguments.seed, add_bar, labels)
    keep_calibration(model, folder, name, parameters)
    made = {
        "model": arguments.model,
        "cache": name,
        "parameters": parameters,
        "count": arguments.count,
        "seed": arguments.seed,
        "file": str(folder / CONFIG),
    }
    lines = [f"cache={name} has these defaults on {arguments.model} from now on:"]
    lines += [f"  {key}: {value}" for key, value in parameters.items()]
    terminal.result(made, arguments.json, "\n".join([*lines, f"written to {made['file']}"]))
    return 0
