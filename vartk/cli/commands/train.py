"""vartk train: the two stages."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .. import terminal
from ..arguments import add_device, add_json, add_out, add_overrides, examples

if TYPE_CHECKING:
    from ...config import Composed, Config, Layer


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    stages = parser.add_subparsers(metavar="STAGE", required=True)
    tokenizer = stages.add_parser(
        "tokenizer",
        help="stage one: turn images into codes and back",
        description="Train a tokenizer, the first stage: it turns images into codes and back.",
    )
    transformer = stages.add_parser(
        "transformer",
        help="stage two: predict the codes",
        description="Train a transformer, the second stage: it predicts the codes of a tokenizer.",
    )
    generator = stages.add_parser(
        "generator",
        help="stage two of another system, such as DiT, on the same tokenizer",
        description="Train a generator, such as a diffusion transformer, on the latents of a tokenizer.",
    )
    both = stages.add_parser(
        "both",
        help="both stages, one after the other",
        description="Train a tokenizer, write the codes of the dataset, and train a transformer on them.",
    )
    runs = (
        (tokenizer, run_tokenizer),
        (transformer, run_transformer),
        (generator, run_generator),
        (both, run_both),
    )
    for stage, run in runs:
        stage.add_argument(
            "config", metavar="CONFIG", help="a preset or a YAML file; a resumed run has its own"
        )
        add_overrides(stage, "train.tokenizer.steps=1000 dataset.path=photos")
        add_out(stage, "the run folder")
        stage.add_argument(
            "--resume",
            action="store_true",
            help="continue from the newest checkpoint in --out, with the settings of the run",
        )
        add_device(stage)
        add_json(stage)
        stage.set_defaults(run=run)
    for stage in (transformer, generator):
        stage.add_argument(
            "--tokenizer", required=True, metavar="MODEL", help="the model folder or run of stage one"
        )
    transformer.add_argument(
        "--tokens",
        type=Path,
        metavar="DIR",
        help="the folder that `vartk tokenize` wrote; without it, the tokens are made first",
    )
    first = "vartk train tokenizer demo --out runs/tokenizer"
    second = "vartk train transformer demo --tokenizer runs/tokenizer --out runs/transformer"
    examples(parser, first, second, "vartk train both emoji64 --out runs/emoji64")
    examples(
        tokenizer,
        first,
        "vartk train tokenizer demo --out runs/tokenizer --resume",
        "vartk train tokenizer demo dataset=folder dataset.path=photos --out runs/photos",
    )
    examples(
        transformer,
        second,
        "vartk train transformer demo --tokenizer runs/tokenizer --out runs/transformer --resume",
    )
    examples(
        generator,
        "vartk train generator emoji64-dit --tokenizer emoji64 --out runs/dit",
        "vartk train generator emoji64 generator=dit --tokenizer emoji64 --out runs/large",
    )
    examples(
        both,
        "vartk train both emoji64 --out runs/emoji64",
        "vartk train both emoji64 --out runs/emoji64 --resume",
    )


def run_tokenizer(arguments: argparse.Namespace) -> int:
    """Train a tokenizer."""
    from ...engine.recipes import train_tokenizer
    from ...hub import start_of
    from ..progress import TrainingBar, bars

    composed = _composed(arguments)
    start = start_of(composed.config, "tokenizer", resume=arguments.resume)
    with bars() as add_bar:
        model = train_tokenizer(
            composed,
            arguments.out,
            reporter=TrainingBar(add_bar("tokenizer", composed.config.train.tokenizer.steps)),
            device=arguments.device,
            resume=arguments.resume,
            start=start,
        )
    return _done(arguments, model)


def run_transformer(arguments: argparse.Namespace) -> int:
    """Train a transformer."""
    from ...engine.device import as_device
    from ...engine.distributed import processes
    from ...engine.recipes import train_transformer
    from ...hub import find_model, start_of
    from ..progress import TrainingBar, bars

    tokenizer = find_model(arguments.tokenizer)
    composed = _composed(arguments, tokenizer)
    start = start_of(composed.config, resume=arguments.resume)
    with processes(as_device(arguments.device)) as (world, device):
        tokens = arguments.tokens
        if tokens is None:
            tokens = arguments.out.with_name(f"{arguments.out.name}-tokens")
            if world.told(tokens.exists()):
                terminal.note(f"using the tokens in {tokens}")
            else:
                from .tokenize import tokenize_with_bar

                tokenize_with_bar(composed.config, tokenizer, tokens, device)
        with bars() as add_bar:
            model = train_transformer(
                composed,
                tokenizer,
                tokens,
                arguments.out,
                reporter=TrainingBar(add_bar("transformer", composed.config.train.transformer.steps)),
                device=device,
                resume=arguments.resume,
                start=start,
            )
    return _done(arguments, model)


def run_generator(arguments: argparse.Namespace) -> int:
    """Train a generator."""
    from ...engine.recipes import train_generator
    from ...hub import find_model
    from ..progress import TrainingBar, bars

    tokenizer = find_model(arguments.tokenizer)
    composed = _composed(arguments, tokenizer)
    with bars() as add_bar:
        model = train_generator(
            composed,
            tokenizer,
            arguments.out,
            reporter=TrainingBar(add_bar("generator", composed.config.train.generator.steps)),
            device=arguments.device,
            resume=arguments.resume,
        )
    return _done(arguments, model)


def run_both(arguments: argparse.Namespace) -> int:
    """Train a tokenizer and its transformer."""
    from ...tasks.both import train_both
    from ..progress import TrainingBar, bars

    with bars() as add_bar:
        model = train_both(
            arguments.config,
            _overrides(arguments),
            arguments.out,
            add_bar=add_bar,
            reporter=TrainingBar,
            device=arguments.device,
            resume=arguments.resume,
        )
    return _done(arguments, model)


def _composed(arguments: argparse.Namespace, tokenizer: Path | None = None) -> Composed[Config]:
    """Return the configuration; of a resumed run it is the one that the run began with."""
    from vartk_registry import VartkError

    from ...components import plugins
    from ...config import Config, compose, load_layers
    from ...engine.recipes import tokenizer_layer
    from ...files import refuse_existing

    if arguments.resume:
        if not (arguments.out / "config.yaml").is_file():
            raise VartkError(f"{arguments.out} is not a run that could be resumed; leave --resume out")
        layers = load_layers(str(arguments.out), plugins())
    else:
        refuse_existing(arguments.out)  # before the tokens are made
        layers = load_layers(arguments.config, plugins())
        if tokenizer is not None:
            layers.append(tokenizer_layer(tokenizer, plugins()))
    return compose(Config, [*layers, _overrides(arguments)], plugins())


def _overrides(arguments: argparse.Namespace) -> Layer:
    """Return the settings of the command line; of a resumed run, CONFIG may be the first of them."""
    from ...config import parse_overrides

    first = [arguments.config] if arguments.resume and "=" in arguments.config else []
    return parse_overrides([*first, *arguments.overrides])


def _done(arguments: argparse.Namespace, model: Path) -> int:
    from ...tasks.first_use import first_command

    text = f"model: {model}\nnext: {first_command(model)}"
    terminal.result({"model": str(model), "run": str(arguments.out)}, arguments.json, text)
    return 0
