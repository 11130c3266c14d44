"""vartk compare: ways to sample, side by side."""

from __future__ import annotations

import argparse
import shlex
from functools import partial
from typing import TYPE_CHECKING, Any

from vartk_registry import MissingRequirement, VartkError

from . import terminal
from .arguments import (
    add_classes,
    add_device,
    add_json,
    add_out,
    add_overrides,
    class_labels,
    examples,
    whole_number,
)
from .data import KEYS, UNSAID, add_data, data_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from vartk_registry.interfaces import Feature

    from ..config import EvalConfig
    from ..engine.model import Model
    from ..tasks.compare import Way
    from ..tasks.compare_files import Kept
    from ..tasks.sample import Bar

SETS = "distances between sets of images"
PERCEPTUAL = "perceptual distance"

RANDOM = "the weights are random, and so is what the images show"

SMALLEST_SET = 4
"""Images that have a distance to other sets, at least."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Sample the same images in several ways, which take turns batch by batch, and compare speed, memory\n"
        "and images with those of the first way. The same command continues a comparison that was stopped.\n"
        "A preset or a YAML file gets random weights, which is enough to measure time and memory at any\n"
        "size, with settings such as image_size=512."
    )
    parser.add_argument(
        "model",
        metavar="MODEL_OR_CONFIG",
        help="a model folder, a run or a model's name; a preset or a YAML file",
    )
    add_overrides(parser, "guidance.scale=3 preset=fast feature=lpips dataset=folder dataset.path=photos")
    parser.add_argument(
        "--published",
        action="store_true",
        help="with the name of a preset: load its published weights instead of random ones",
    )
    parser.add_argument(
        "--cache",
        metavar="A,B",
        help="cache strategies, one way for each: names, [chains,of,names], or {name: NAME, KEY: VALUE}; the "
        "others are compared with the first (default: full)",
    )
    parser.add_argument(
        "--way",
        dest="ways",
        action="append",
        default=[],
        metavar="'NAME: key=value ...'",
        help="one more way: sampling settings that override those of the first way; with refiner=MODEL "
        "draft=N this model draws the scales after the first N (CoDe); you can repeat the option",
    )
    add_data(parser)
    add_classes(parser, "by default as often as in the training images, or all classes")
    parser.add_argument(
        "--count", type=whole_number(1, 10**6), default=64, metavar="N", help="images per way (default: 64)"
    )
    parser.add_argument("--batch", type=whole_number(1, 10**6), metavar="B", help="images at once")
    parser.add_argument(
        "--references",
        type=whole_number(4, 10**7),
        default=10_000,
        metavar="N",
        help="largest number of training images for FD and KID, drawn at random (default: 10000)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="S",
        help="seed of the first image (each further image adds 1) and of the draws of images (default: 0)",
    )
    add_out(parser, "the folder for the report, its pictures and the images")
    add_device(parser)
    add_json(parser)
    examples(
        parser,
        "vartk compare runs/transformer --cache full,window,ams_kv --count 64 --out comparison",
        "vartk compare runs/transformer --cache 'full,[ams_kv,fastvar]' guidance.scale=2 --out chains",
        "vartk compare runs/transformer --way 'half: precision=bf16' --way 'fast: preset=fast' --out half",
        "vartk compare runs/large --way 'code: refiner=runs/small draft=5 cache=ams_kv' --out both",
        "vartk compare var-d16 image_size=512 schedule=var-512 --cache full,fastvar --count 2 --out large",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the tables, and write the report and the pictures."""
    terminal.note(f"loading {arguments.model}")
    from ..components import plugins
    from ..config import EvalConfig, Layer, parse_overrides
    from ..engine.evaluation import set_metric
    from ..hub import find_model, load
    from ..tasks.compare import Comparison
    from ..tasks.compare_files import Kept
    from ..tasks.compare_model import is_configuration, random_model, random_refiner, split_words
    from ..tasks.compare_ways import parse_ways
    from .progress import bars

    random = not arguments.published and is_configuration(arguments.model)
    of_model, of_sampling = split_words(arguments.overrides) if random else ([], arguments.overrides)
    settings = dict(parse_overrides(of_sampling).values)
    chosen = {key: settings.pop(key) for key in KEYS if key in settings}
    if arguments.batch is not None:
        settings["batch"] = arguments.batch
    if random:
        _refuse_data(arguments, chosen)
        config, named = EvalConfig(), False
        open_model = partial(random_model, arguments.model, of_model, arguments.device)
        open_refiner = partial(random_refiner, of_model, arguments.device)
    else:
        config, named = data_config(arguments.data, arguments.model, find_model(arguments.model), chosen)
        open_model = partial(load, arguments.model, device=arguments.device)
        open_refiner = partial(load, device=arguments.device)
    for name in config.metrics:
        set_metric(plugins().registry, name)  # mistakes are told before minutes of work
    model = open_model()
    labels = class_labels(arguments.classes, model.classes)
    model.parse(labels or model.classes)
    ways = parse_ways(model, Layer("command line", settings), arguments.cache, arguments.ways, open_refiner)
    left_out = dict.fromkeys((SETS, PERCEPTUAL), RANDOM) if random else {}
    feature = None if random else _feature(config, left_out)
    if SETS not in left_out and labels:
        left_out[SETS] = "the images have other classes than the training images, by --class"
    elif SETS not in left_out and not named:
        left_out[SETS] = f"{arguments.model} {UNSAID} (--data CONFIG, or dataset=NAME)"
    elif SETS not in left_out and arguments.count < SMALLEST_SET:
        left_out[SETS] = f"{arguments.count} are too few for one, by --count"
    weights = partial(_weights, random=random)
    kept = Kept(arguments.out, _made_by(arguments, model, weights, ways, config, left_out))
    try:
        with bars() as add_bar:
            if kept.labels is None:
                _begin(kept, arguments, model, config, labels, None if SETS in left_out else feature, add_bar)
            comparison = Comparison(
                arguments.model,
                open_model,
                open_refiner,
                model,
                ways,
                kept.labels or [],
                arguments.seed,
                kept,
                add_bar,
            )
            comparison.sample()
            comparison.measure_memory()
            numbers = comparison.compare(feature and feature.to(model.device), kept.real, config.metrics)
    except KeyboardInterrupt:
        if kept.labels is not None:
            terminal.note(f"stopped; the same command goes on with what is in {arguments.out}")
        raise
    result = {
        "command": _command(arguments),
        "weights": "random" if random else "the model's own",
        "feature": feature and feature.label,
        "dataset": None if SETS in left_out else config.dataset.name,
        "left_out": left_out,
        **numbers,
    }
    _show(comparison, result, arguments)
    return 0


def _refuse_data(arguments: argparse.Namespace, chosen: dict[str, Any]) -> None:
    """Refuse settings about real images, with which those of random weights are not compared."""
    given = [*chosen, *(["--data"] if arguments.data is not None else [])]
    if given:
        raise VartkError(
            f"{arguments.model} is a configuration and gets random weights, whose images are not compared "
            f"with real ones; drop {', '.join(given)}, name a trained model, or, where a preset has "
            "published weights, add --published"
        )


def _feature(config: EvalConfig, left_out: dict[str, str]) -> Feature | None:
    """Build the feature, or add to `left_out` what is missing without it."""
    from ..components import plugins

    try:
        return plugins().registry.build("feature", config.feature.name, config.feature.params)
    except MissingRequirement as error:
        left_out |= dict.fromkeys((SETS, PERCEPTUAL), str(error))
        return None


def _weights(name: str, model: Model, *, random: bool) -> dict[str, Any]:
    """Return what decides the weights of a model that was opened by a name."""
    from ..config import model_part
    from ..engine.folder import TOKENIZER, TRANSFORMER, fingerprint
    from ..hub import find_model

    if random:
        return {"random": model_part(model.config)}
    return {file: fingerprint(find_model(name), file) for file in (TOKENIZER, TRANSFORMER)}


def _made_by(
    arguments: argparse.Namespace,
    model: Model,
    weights: Callable[[str, Model], dict[str, Any]],
    ways: list[Way],
    config: EvalConfig,
    left_out: dict[str, str],
) -> dict[str, Any]:
    """Return everything that decides the images and their times."""
    import torch

    from ..config import plain
    from ..tasks.compare import versions

    own = plain(config)
    return {
        "model": arguments.model,
        "weights": weights(arguments.model, model),
        "count": arguments.count,
        "seed": arguments.seed,
        "class": arguments.classes,
        "device": arguments.device,
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "first": ways[0].name,
        "ways": {way.name: way.settings for way in ways},
        "refiners": {
            way.name: {**refiner.settings, "weights": weights(refiner.name, refiner.model)}
            for way in ways
            if (refiner := way.refiner) is not None
        },
        "left out": left_out,
        **({} if SETS in left_out else {"references": arguments.references, "dataset": own["dataset"]}),
        "feature": own["feature"],
    }


def _begin(
    kept: Kept,
    arguments: argparse.Namespace,
    model: Model,
    config: EvalConfig,
    labels: list[str],
    feature: Feature | None,
    add_bar: Callable[[str, int], Bar],
) -> None:
    """Choose the conditions of the images, and look at real ones with the feature, if there is one."""
    from ..engine.build import grid
    from ..engine.data import Images
    from ..engine.recipes import open_datasets
    from ..tasks.real_images import (
        drawn,
        drawn_conditions,
        in_batches,
        require_classes,
        require_images,
        see_training,
    )

    if feature is None:
        indices = model.parse(labels or model.classes).tolist()
        kept.begin([indices[i % len(indices)] for i in range(arguments.count)], None)
        return
    datasets = open_datasets(config, terminal.note, ["train"])
    require_images(datasets)
    require_classes(model, datasets["train"])
    images = Images(datasets["train"], grid(model.config.image_size))
    found = drawn(images.dataset, arguments.references, arguments.seed)
    batches = in_batches(found, model.config.sampling.batch, add_bar("training images", len(found)))
    real, conditions = see_training(model, images, batches, feature.to(model.device))
    kept.begin(drawn_conditions(conditions, arguments.count, arguments.seed), real)


def _show(comparison: Any, result: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Write the report and the pictures, and print the result."""
    from ..tasks.compare_plot import shown_rows
    from ..tasks.compare_report import notes, protocol, tables, write_comparison

    rows = shown_rows(result["labels"])
    labels = [result["labels"][row] for row in rows]
    names = [comparison.model.classes[label] if isinstance(label, int) else label for label in labels]
    images = {way.name: comparison.shown(way, rows) for way in comparison.ways}
    write_comparison(result, images, names, arguments.out)
    terminal.note(f"report: {arguments.out / 'compare.md'}")
    if arguments.json:
        terminal.result(result, as_json=True)
        return
    for table in tables(result):
        terminal.out(f"{table.title}\n")
        terminal.table(table.rows, table.headings)
        terminal.out()
    for line in notes(result):
        terminal.out(line)
    terminal.out(protocol(result))


def _command(arguments: argparse.Namespace) -> str:
    """Return the command line that compares the same."""
    words = ["vartk", "compare", arguments.model, *arguments.overrides]
    for option in ("cache", "data", "count", "batch", "references", "seed", "out", "device"):
        if (value := getattr(arguments, option)) is not None:
            words += [f"--{option}", str(value)]
    for option, values in (("--class", arguments.classes or ()), ("--way", arguments.ways)):
        for value in values:
            words += [option, value]
    words += ["--published"] * arguments.published
    return shlex.join(words)
