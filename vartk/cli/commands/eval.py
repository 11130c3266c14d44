"""vartk eval: how good a model's images are, and what it has memorised."""

from __future__ import annotations

import argparse
from pathlib import Path

from vartk_registry import VartkError

from .. import terminal
from ..arguments import add_data, add_device, add_json, add_overrides, examples, whole_number


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, a run, or a published name")
    add_overrides(
        parser, "guidance.scale=3 feature=lpips feature.net=alex dataset=folder dataset.path=photos"
    )
    add_data(parser)
    parser.add_argument(
        "--count",
        type=whole_number(4, 10**6),
        default=1000,
        metavar="N",
        help="number of samples (default: 1000)",
    )
    parser.add_argument(
        "--references",
        type=whole_number(4, 10**7),
        default=10_000,
        metavar="N",
        help="largest number of training images to compare with, drawn at random; copies of other images "
        "are not found (default: 10000)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="S",
        help="seed of the first sample (each further sample adds 1) and of the draws of images (default: 0)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder for the report and its picture")
    add_device(parser)
    add_json(parser)
    examples(
        parser,
        "vartk eval runs/transformer --out evaluation",
        "vartk eval runs/transformer guidance.scale=3 --count 500 --json",
        "vartk eval runs/tokenizer --data demo",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the tables, and write the report."""
    from ...components import plugins
    from ...config import leaves, parse_overrides
    from ...engine.recipes import open_datasets
    from ...evaluation import Evaluation, Protocol, data_config, tables, vector_kinds, write_evaluation
    from ...evaluation.data import KEYS, UNSAID
    from ...evaluation.report import JUDGE_WAS_LOSS
    from ...files import refuse_existing
    from ...hub import find_model, load
    from ..progress import bars

    if arguments.out is not None:
        refuse_existing(arguments.out)
    settings = dict(parse_overrides(arguments.overrides).values)
    chosen = {key: settings.pop(key) for key in KEYS if key in settings}
    config, named = data_config(arguments.data, arguments.model, find_model(arguments.model), chosen)
    if not named:
        raise VartkError(
            f"{arguments.model} {UNSAID}; name them with --data CONFIG (a preset, a YAML file or a run), or "
            "with dataset=NAME"
        )
    registry = plugins().registry
    feature = registry.build("feature", config.feature.name, config.feature.params)
    vector_kinds(registry, config.metrics, feature)  # mistakes are told before minutes of work
    model = load(arguments.model, device=arguments.device)
    sampling = model.sampling(**settings)
    splits = ["validation"] if model.predictor is None else ["train", "validation"]
    idle = [path for path, _ in leaves(settings) if path != "batch"]
    if model.predictor is None and idle:
        raise VartkError(
            f"{arguments.model} is a tokenizer alone and samples nothing; drop {', '.join(idle)}"
        )
    flattered = arguments.data is None and config.train.tokenizer.perceptual.name == config.feature.name
    if flattered:
        terminal.note(JUDGE_WAS_LOSS)
    protocol = Protocol(arguments.count, arguments.references, arguments.seed, sampling, config.metrics)
    with bars() as add_bar:
        datasets = open_datasets(config, terminal.note, splits)
        evaluation = Evaluation(model, datasets, feature.to(model.device), protocol, add_bar)
        numbers, picture = evaluation.run()
    about = {"model": arguments.model, "dataset": config.dataset.name, "feature_was_loss": flattered}
    result = {**about, **numbers}
    if arguments.out is not None:
        write_evaluation(result, picture, arguments.out)
        terminal.note(f"report: {arguments.out / 'report.md'}")
    if arguments.json:
        terminal.result(result, as_json=True)
        return 0
    for table in tables(result):
        terminal.out(f"\n{table.title}")
        terminal.table(table.rows, table.headings)
    return 0
