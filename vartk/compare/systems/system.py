"""One of the systems that are compared."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError

from ...bench.timing import finish
from ...config import parse_overrides
from ...engine.generators.model import GeneratorModel
from ...engine.model import Model
from ...hub import load

AnyModel = Model | GeneratorModel


@dataclass(frozen=True, slots=True)
class System:
    """A model with its settings.

    Attributes:
        name: how tables call it.
        model: what `vartk.load` takes.
        settings: nested keys of sampling.
        device: where it computes.
    """

    name: str
    model: str
    settings: Mapping[str, Any]
    device: str

    def open(self) -> Model | GeneratorModel:
        """Return the model with its settings as defaults; errors as `vartk.load`."""
        model = load(self.model, device=self.device)
        model.set_defaults(**self.settings)
        return model


def parse_systems(first: str, overrides: Sequence[str], others: Sequence[str], device: str) -> list[System]:
    """Return the systems of a command line: a model with its `key=value` words, and each --system.

    Args:
        others: "MODEL key=value ...", one system each.

    Raises:
        VartkError: a word is no setting, or two systems are the same.
    """
    systems: list[System] = []
    known: set[str] = set()
    for words in ([first, *overrides], *(shlex.split(other) for other in others)):
        if not words or "=" in words[0]:
            raise VartkError(f"--system {' '.join(words)!r} names no model; type 'MODEL key=value ...'")
        model, *settings = words
        whole, name = (" ".join((text, *settings)) for text in (model, _short(model)))
        if whole in known:
            raise VartkError(f"{whole!r} is there twice; give each system once, or with other settings")
        known.add(whole)
        name = whole if name in [system.name for system in systems] else name
        systems.append(System(name, model, parse_overrides(settings).values, device))
    return systems


def _short(model: str) -> str:
    """Return the last part of a path, as a name for tables."""
    path = Path(model)
    return path.parent.name if path.name == "model" else path.name


def require_alike(systems: Sequence[System], models: Sequence[AnyModel]) -> None:
    """Raise `VartkError` unless all models draw, and draw the same classes."""
    for system, model in zip(systems, models, strict=True):
        if isinstance(model, Model) and model.predictor is None:
            raise VartkError(
                f"{system.model} is a tokenizer alone and samples nothing; train its transformer"
            )
        if model.takes != models[0].takes or model.classes != models[0].classes:
            raise VartkError(
                f"{system.model} draws {_drawn(model)}, but {systems[0].model} draws {_drawn(models[0])}; "
                "compare systems of the same classes"
            )


def timed(model: AnyModel, labels: Sequence[Any], seeds: Sequence[int]) -> tuple[torch.Tensor, float]:
    """Return images [B, 3, H, W] in [0, 1], and the seconds from the labels to them."""
    finish(model.device)
    start = time.perf_counter()
    for state in model.stream(labels, seed=seeds):
        last = state
    images = last.images
    finish(model.device)
    return images, time.perf_counter() - start


def sample_once(system: System, labels: Sequence[Any], seeds: Sequence[int]) -> None:
    """Open a system and sample a batch: the memory of this is measured."""
    timed(system.open(), labels, seeds)


def parameters(model: AnyModel) -> int:
    """Return the parameters of what draws: a transformer or a generator, without the tokenizer."""
    return sum(parameter.numel() for parameter in model.modules()[-1].parameters())


def _drawn(model: AnyModel) -> str:
    if model.takes == "caption":
        return "prompts"
    prompts = " with prompts" if model.takes == "both" else ""
    few = ", ".join(model.classes[:3])
    return f"{len(model.classes)} classes ({few}{', ...' if len(model.classes) > 3 else ''}){prompts}"
