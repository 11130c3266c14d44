"""The check of a registered component, by its name."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..errors import Unsupported
from ..interfaces import CodeSpace, Condition, Schedule
from ..registry import Registry
from .attention import check_attention
from .cache import check_cache
from .data import check_dataset, check_metric
from .discriminator import check_discriminator
from .feature import check_feature
from .generator import check_generator
from .importer import check_importer
from .logger import check_logger
from .model import check_conditioner, check_transformer
from .parts import Averages, Codebook, KeepAll
from .rules import require, require_module
from .sampling import check_guidance, check_sampler, check_schedule
from .tokens import check_quantizer, check_tokenizer

Build = Callable[..., Any]
"""Builds the component, with the arguments that its interface is built with."""


def check_component(registry: Registry, kind: str, name: str) -> None:
    """Build a component with the parameters `check_with` of its spec, and check it.

    Raises:
        AssertionError, PluginError: it breaks the contract; the message names the rule.
        Unsupported: it cannot run on this machine.
        VartkError: it cannot be built with these parameters, so nothing was checked.
    """
    spec = registry.find(kind, name)
    if config := registry.config_class(spec):
        for field in dataclasses.fields(config):
            require(
                bool(field.metadata.get("help")),
                f"parameter {field.name!r} has no help; declare it with vartk_registry.param",
            )
    params = registry.params(kind, name, spec.check_with)
    build = partial(registry.build, kind, name, params)
    if kind == "generator":
        _generator(build, params)
    else:
        _CHECKS[kind](build)


def _schedule(build: Build) -> None:
    factory = build()
    check_schedule(factory, factory((16, 16)).latent)  # a fixed list ends where it ends


def _tokenizer(build: Build) -> None:
    tokenizer, size = build(quantizer=Codebook), (64, 64)
    latent = h, w = tuple(tokenizer.latent_grid(size))
    grids = dict.fromkeys([(1, 1), (-(-h // 2), -(-w // 2)), latent])
    check_tokenizer(tokenizer, size, Schedule(tuple(grids)))


def _transformer(build: Build) -> None:
    schedule, space, channels = Schedule.of((1, 2, 4)), CodeSpace(8), 4
    transformer = build(schedule=schedule, space=space, channels=channels)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in require_module(transformer).parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    condition = Condition(torch.randn(3, transformer.width, generator=generator))
    check = partial(
        check_transformer, transformer, schedule=schedule, space=space, channels=channels, cache=KeepAll()
    )
    try:
        check(condition)
    except Unsupported:  # it needs tokens, which others refuse
        tokens = torch.randn(3, 5, transformer.width, generator=generator)
        text = Condition(condition.vector, tokens, torch.tensor([5, 1, 3]))
        check(text)


def _conditioner(build: Build) -> None:
    conditioner = build(width=16, classes=["cat", "dog"])
    check_conditioner(conditioner, conditioner.choices[:2] or ["a red cat", "two dogs"])


def _generator(build: Build, params: Mapping[str, Any]) -> None:
    size = (16, 16)
    generator = build(classes=["cat", "dog"], image_size=size, tokenizer=Averages().requires_grad_(False))
    labels = generator.choices[:2] or ["a red cat", "two dogs"]
    check_generator(generator, size, labels, **{key: params[key] for key in generator.at_call})


def _logger(build: Build) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check_logger(build(folder=Path(folder), config={}, step=0))


_CHECKS: dict[str, Callable[[Build], None]] = {
    "schedule": _schedule,
    "quantizer": lambda build: check_quantizer(build(dim=4)),
    "tokenizer": _tokenizer,
    "transformer": _transformer,
    "conditioner": _conditioner,
    "attention": lambda build: check_attention(build()),
    "cache": lambda build: check_cache(build()),
    "guidance": lambda build: check_guidance(build()),
    "sampler": lambda build: check_sampler(build()),
    "dataset": lambda build: check_dataset(build(split="train")),
    "feature": lambda build: check_feature(build()),
    "discriminator": lambda build: check_discriminator(build()),
    "metric": lambda build: check_metric(build()),
    "logger": _logger,
    "importer": lambda build: check_importer(build()),
}
