"""The stages from a configuration to a finished run: what `vartk train` and `vartk tokenize` do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from vartk_registry import Plugins, VartkError, counted
from vartk_registry.interfaces import EncodingConditioner, ImageDataset

from ..components import plugins
from ..config import NO_GENERATOR, Composed, Config, Layer, model_part, plain
from ..files import refuse_existing
from .build import build_transformer, grid
from .data import Images
from .device import as_device
from .distributed import processes
from .folder import load_model, new_model, read_model_config
from .generators.folder import new_generator
from .joint import encoding_of
from .model import Model
from .share import Share
from .sizes import bucket_schedules
from .tokens import load_tokens, require_share, token_classes, tokenize
from .training import (
    GeneratorStage,
    Judge,
    Reporter,
    Run,
    TokenizerStage,
    TransformerStage,
    start_from,
    start_tokenizer,
    train,
)
from .weightless import weightless

log = logging.getLogger(__name__)

SHARED = ("tokenizer", "quantizer")
"""The keys that a transformer's configuration must have in common with its tokenizer's."""

SIZES = ("image_size", "buckets")
"""The keys that it takes from its tokenizer's unless they are given: a tokenizer can serve other sizes."""


def tokenizer_layer(folder: Path, found: Plugins) -> Layer:
    """Return what a trained tokenizer decides of the configuration of the second stage."""
    config = plain(read_model_config(folder, found))
    return Layer(f"tokenizer {folder}", {key: config[key] for key in (*SIZES, *SHARED)})


def check_transformer(config: Config) -> None:
    """Raise what building the transformer would, `VartkError`, before hours go into what comes first."""
    with weightless():
        model = new_model(config, plugins(), predictor=False)
        build_transformer(config, model.tokenizer, model.schedule, plugins().registry)


def train_tokenizer(
    composed: Composed[Config],
    out: Path,
    *,
    reporter: Reporter,
    device: str | torch.device,
    resume: bool = False,
    start: Path | None = None,
) -> Path:
    """Run the first stage in the folder `out`, and return the model folder; errors as `train`.

    Args:
        start: the folder of the tokenizer that the configuration names to start from (see `start_tokenizer`).
    """
    if not resume:
        refuse_existing(out)
    config = composed.config
    datasets = open_datasets(config, reporter.event)
    _name_classes(composed, datasets["train"].classes)
    with processes(as_device(device)) as (world, own):
        torch.manual_seed(config.train.tokenizer.seed)
        model = new_model(config, plugins(), predictor=False)
        stage = TokenizerStage(config, model, datasets, plugins().registry)
        if not resume:
            if start is not None:
                start_tokenizer(model, start, plugins(), reporter.event)
            stage.start_codebook(own)
        return train(stage, composed, out, reporter=reporter, device=own, world=world, resume=resume)


def train_transformer(
    composed: Composed[Config],
    tokenizer: Path,
    tokens: Path,
    out: Path,
    *,
    reporter: Reporter,
    device: str | torch.device,
    resume: bool = False,
    start: Path | None = None,
) -> Path:
    """Run the second stage in the folder `out`, and return the model folder.

    Args:
        start: the folder of the trained model that the configuration names to start from (see `start_from`).

    Raises:
        VartkError: as `train`, or the tokenizer, its tokens and the configuration do not belong together.
    """
    if not resume:
        refuse_existing(out)
    config = composed.config
    _agree(config, tokenizer)
    require_share(tokens, plain(config)["data"])
    _name_classes(composed, token_classes(tokens))
    with processes(as_device(device)) as (world, own):
        torch.manual_seed(config.train.transformer.seed)
        model = new_model(config, plugins())
        _give_tokenizer(model, tokenizer)
        schedules = bucket_schedules(config, model.tokenizer, model.schedule, plugins().registry)
        loaded = load_tokens(tokens, tokenizer, schedules[0], model.predictor.conditioner, schedules[1:])
        taken = Run(out).taken() if resume else []
        if start is not None and (not resume or config.train.transformer.lora.rank):
            taken = start_from(model, start, plugins(), reporter.event, loaded["train"])
        model.modules()[0].to(own)
        judge = _judge(config, model, reporter.event)
        stage = TransformerStage(config, model, loaded, plugins().registry, judge, taken, start)
        return train(stage, composed, out, reporter=reporter, device=own, world=world, resume=resume)


def train_generator(
    composed: Composed[Config],
    tokenizer: Path,
    out: Path,
    *,
    reporter: Reporter,
    device: str | torch.device,
    resume: bool = False,
) -> Path:
    """Train a generator on a tokenizer's latents in the folder `out`, and return the model folder.

    Raises:
        VartkError: as `train`; or the tokenizer and the configuration do not belong together, or the
            configuration names no generator that can be trained.
    """
    if not resume:
        refuse_existing(out)
    config = composed.config
    if config.generator.name == NO_GENERATOR:
        raise VartkError("the configuration names no generator; add generator=dit, or take a preset with one")
    if config.buckets:
        raise VartkError("a generator trains on images of one size; leave buckets out (buckets=[])")
    _agree(config, tokenizer)
    datasets = open_datasets(config, reporter.event)
    _name_classes(composed, datasets["train"].classes)
    with processes(as_device(device)) as (world, own):
        torch.manual_seed(config.train.generator.seed)
        trained = load_model(tokenizer, plugins()).modules()[0].eval().requires_grad_(False)
        model = new_generator(config, plugins(), trained)
        stage = GeneratorStage(config, model, datasets, own)
        return train(stage, composed, out, reporter=reporter, device=own, world=world, resume=resume)


def tokenize_dataset(
    config: Config,
    tokenizer: Path,
    folder: Path,
    *,
    device: str | torch.device,
    progress: Callable[[str, int, int], None],
    event: Callable[[str], None] = log.info,
) -> None:
    """Write the codes of a configuration's dataset as a new folder; errors as `tokenize`."""
    refuse_existing(folder)
    _agree(config, tokenizer)
    model = new_model(config, plugins(), predictor=False)
    _give_tokenizer(model, tokenizer)
    datasets = open_datasets(config, event)
    named = replace(config, classes=config.classes or datasets["train"].classes)
    with processes(as_device(device)) as (world, own):
        tokenize(
            tokenizer,
            model.to(own),
            datasets,
            folder,
            augment=config.augment,
            views=config.train.transformer.views,
            seed=config.train.transformer.seed,
            data=plain(config)["data"],
            conditioner=_encoding_conditioner(named),
            progress=progress,
            world=world,
        )


def open_datasets(
    config: Config, event: Callable[[str], None], splits: Sequence[str] = ("train", "validation")
) -> dict[str, ImageDataset]:
    """Open splits of a configuration's dataset, of "train" its share, and tell of images that are skipped.

    Raises:
        VartkError: the dataset cannot be opened, or the share holds no image.
    """
    slot = config.dataset
    build = plugins().registry.build
    datasets = {split: build("dataset", slot.name, slot.params, split=split) for split in splits}
    if "train" in datasets and config.data.share < 1:
        datasets["train"] = Share(datasets["train"], config.data.share, config.data.seed)
    for split, dataset in datasets.items():
        if dataset.skipped:
            event(f"{split}: {counted(len(dataset.skipped), 'image')} skipped:")
            for line in dataset.skipped:
                event(f"  {line}")
    return datasets


def _judge(config: Config, model: Model, event: Callable[[str], None]) -> Judge | None:
    """Return who measures samples in training; None where the configuration names no metrics."""
    if not config.train.transformer.eval_metrics:
        return None
    dataset = open_datasets(config, event, ["validation"])["validation"]
    images = Images(dataset, grid(config.image_size))
    return Judge(config.train.transformer, model, images, plugins().registry)


def _name_classes(composed: Composed[Config], classes: list[str]) -> None:
    """Fill in the names of the classes where the configuration has none."""
    if not composed.config.classes:
        composed.config.classes = classes
        composed.sources["classes"] = f"dataset {composed.config.dataset.name}"


def _agree(config: Config, tokenizer: Path) -> None:
    ours, its = model_part(config), plain(read_model_config(tokenizer, plugins()))
    differ = [f"{key} is {ours[key]} and not {its[key]}" for key in SHARED if ours[key] != its[key]]
    if differ:
        raise VartkError(f"the configuration is not that of the tokenizer {tokenizer}: {'; '.join(differ)}")


def _encoding_conditioner(config: Config) -> EncodingConditioner | None:
    """Return the conditioner, without weights, if it has a frozen encoder."""
    with weightless():
        predictor = new_model(config, plugins()).predictor
    return None if predictor is None else encoding_of(predictor.conditioner)


def _give_tokenizer(model: Model, folder: Path) -> None:
    ours, trained = model.modules()[0], load_model(folder, plugins()).modules()[0]
    ours.load_state_dict(trained.state_dict())
    ours.eval().requires_grad_(False)
