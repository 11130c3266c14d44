"""The start of a transformer's training: the weights of a trained model, and what of them is new."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vartk_registry import Plugins, VartkError

from ..build import Predictor
from ..folder import load_model
from ..model import Model

KEY = "train.transformer.start_from"


def start_from(model: Model, folder: Path, plugins: Plugins, event: Callable[[str], None]) -> Model:
    """Give a fresh model the transformer of a trained one, and its conditioner if it is the same.

    Weights that the trained model does not have, such as those of cross-attention, stay as they were drawn.

    Args:
        model: with the tokenizer that it will be trained with.
        folder: of the trained model.
        event: gets a line for each module, with what was taken and what is new.

    Returns:
        the trained model.

    Raises:
        VartkError: the trained model has no transformer or another tokenizer, or a weight does not fit.
    """
    trained = load_model(folder, plugins)
    if trained.predictor is None:
        raise _refused(folder, "it is a tokenizer alone; give a model with a transformer")
    assert model.predictor is not None
    if not _same(model.modules()[0], trained.modules()[0]):
        raise _refused(
            folder,
            "its tokenizer is not the one that this training uses, so its transformer knows other codes; "
            f"give --tokenizer {folder}",
        )
    ours, its = model.config.transformer.name, trained.config.transformer.name
    if ours != its:
        raise _refused(
            folder, f"its transformer is {its!r}, and this one is {ours!r}; take transformer={its}"
        )
    event(f"{KEY}={folder}: transformer: {_take(model.predictor, trained.predictor, folder)}")
    event(f"{KEY}={folder}: conditioner: {_take_conditioner(model, trained)}")
    return trained


def _take(ours: Predictor, its: Predictor, folder: Path) -> str:
    """Copy the transformer's weights, and say which were taken and which are new."""
    transformer: Any = ours.transformer
    own, given = transformer.state_dict(), its.transformer.state_dict()  # type: ignore[attr-defined]
    problems = [f"has {name}, which the new transformer does not" for name in given if name not in own]
    problems += [
        f"has {name} as {list(given[name].shape)}, the new transformer as {list(own[name].shape)}"
        for name in own
        if name in given and own[name].shape != given[name].shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise _refused(
            folder,
            f"its transformer does not fit: it {'; it '.join(problems[:5])}{more}; take the settings of its "
            "model.yaml for transformer, schedule and image_size",
        )
    transformer.load_state_dict(given, strict=False)
    new = [name for name in own if name not in given]
    taken = f"{len(given)} of {len(own)} weights taken"
    return f"{taken}; new: {_patterns(new)}" if new else taken


def _take_conditioner(model: Model, trained: Model) -> str:
    """Copy the conditioner's weights if it is the same, and say so, or why it is new."""
    ours, its = model.config.conditioner.name, trained.config.conditioner.name
    assert model.predictor is not None
    assert trained.predictor is not None
    conditioner, given = model.predictor.conditioner, trained.predictor.conditioner.state_dict()
    if ours != its:
        return f"new, {ours!r} in the place of {its!r}"
    if model.classes != trained.classes:
        return f"new, for {len(model.classes)} classes that are not those of the trained model"
    if _shapes(conditioner.state_dict()) != _shapes(given):
        return "new, its weights have other shapes than those of the trained model"
    conditioner.load_state_dict(given)
    return f"{len(given)} of {len(given)} weights taken"


def _same(ours: nn.Module, its: nn.Module) -> bool:
    """Return whether tokenizers have the same weights; a model folder may hold them in half precision."""
    own, given = ours.state_dict(), its.state_dict()
    return _shapes(own) == _shapes(given) and all(torch.equal(own[n].half(), given[n].half()) for n in own)


def _shapes(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}


def _patterns(names: Iterable[str]) -> str:
    """Return names, those that differ by the number of a layer as one with a star and how many there are."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(re.sub(r"\b\d+\b", "*", name), []).append(name)
    return ", ".join(
        found[0] if len(found) == 1 else f"{pattern} ({len(found)})" for pattern, found in alike.items()
    )


def _refused(folder: Path, reason: str) -> VartkError:
    return VartkError(f"{KEY}={folder}: {reason}")
