"""vartk eval without --reference: a model on its own data."""

from __future__ import annotations

import argparse

from vartk_registry import VartkError

from ... import terminal


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the tables, and write the report."""
    from ....components import plugins
    from ....config import leaves, parse_overrides
    from ....engine.recipes import open_datasets
    from ....environment import launched_rank
    from ....evaluation import Evaluation, Protocol, data_config, tables, vector_kinds, write_evaluation
    from ....evaluation.against.plan import SAMPLES
    from ....evaluation.data import KEYS, UNSAID
    from ....evaluation.report import JUDGE_WAS_LOSS
    from ....files import refuse_existing
    from ....hub import find_model, fingerprints, load_scales
    from ...progress import bars

    if launched_rank() is not None:
        raise VartkError(
            "torchrun divides the samples of `vartk eval MODEL --reference R`; without --reference, start "
            "vartk by itself"
        )
    if arguments.out is not None:
        refuse_existing(arguments.out)
    settings = dict(parse_overrides(arguments.overrides).values)
    chosen = {key: settings.pop(key) for key in KEYS if key in settings}
    config, named = data_config(arguments.data, arguments.images, find_model(arguments.images), chosen)
    if not named:
        raise VartkError(
            f"{arguments.images} {UNSAID}; name them with --data CONFIG (a preset, a YAML file or a run), or "
            "with dataset=NAME"
        )
    registry = plugins().registry
    feature = registry.build("feature", config.feature.name, config.feature.params)
    vector_kinds(registry, config.metrics, feature)  # mistakes are told before minutes of work
    model = load_scales(arguments.images, device=arguments.device)
    if arguments.tokenizer_only:
        model.predictor = None
    sampling = model.sampling(**settings)
    splits = ["validation"] if model.predictor is None else ["train", "validation"]
    idle = [path for path, _ in leaves(settings) if path != "batch"]
    if model.predictor is None and idle:
        raise VartkError(
            f"{arguments.images} is a tokenizer alone and samples nothing; drop {', '.join(idle)}"
        )
    flattered = arguments.data is None and config.train.tokenizer.perceptual.name == config.feature.name
    if flattered:
        terminal.note(JUDGE_WAS_LOSS)
    protocol = Protocol(
        arguments.count or SAMPLES,
        arguments.references,
        arguments.seed,
        sampling,
        config.metrics,
        fingerprints(arguments.images),
        arguments.samples,
    )
    with bars() as add_bar:
        datasets = open_datasets(config, terminal.note, splits)
        evaluation = Evaluation(model, datasets, feature.to(model.device), protocol, add_bar)
        numbers, picture = evaluation.run()
    about = {"model": arguments.images, "dataset": config.dataset.name, "feature_was_loss": flattered}
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
