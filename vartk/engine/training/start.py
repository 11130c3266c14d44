"""The start of a training: the weights of a trained model, and what of them is new."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vartk_registry import Plugins, VartkError
from vartk_registry.interfaces import ImitatingConditioner

from ..folder import load_model
from ..joint import JointConditioner
from ..model import Model
from ..tokens import Tokens
from ..weights import misfits, told

KEY = "train.{}.start_from"
SETTINGS = {"tokenizer": "tokenizer and quantizer", "transformer": "transformer, schedule and image_size"}
"""What decides the shapes of a stage's weights."""


def start_tokenizer(model: Model, folder: Path, plugins: Plugins, event: Callable[[str], None]) -> None:
    """Give a fresh tokenizer the weights of a trained one; another quantizer keeps its own.

    Args:
        model: a tokenizer alone is enough.
        folder: of the trained tokenizer, or of a model with one.
        event: gets a line with what was taken and what is new.

    Raises:
        VartkError: a weight does not fit, or the trained tokenizer is of another kind.
    """
    trained = load_model(folder, plugins)
    ours, its = model.config, trained.config
    if ours.tokenizer.name != its.tokenizer.name:
        raise _refused(
            "tokenizer",
            folder,
            f"its tokenizer is {its.tokenizer.name!r}, and this one is {ours.tokenizer.name!r}; take "
            f"tokenizer={its.tokenizer.name}",
        )
    given = trained.modules()[0].state_dict()
    if ours.quantizer.name != its.quantizer.name:
        given = {name: weight for name, weight in given.items() if not name.startswith("quantizer.")}
    event(f"{_key('tokenizer', folder)}: {_take(model.modules()[0], given, 'tokenizer', folder)}")


def start_from(
    model: Model, folder: Path, plugins: Plugins, event: Callable[[str], None], tokens: Tokens
) -> list[str]:
    """Give a fresh model the transformer of a trained one, and its conditioner if it is the same.

    Weights that the trained model does not have, such as those of cross-attention, stay as they were drawn. A
    conditioner that can (`ImitatingConditioner`) is fitted to the vectors of the trained model's one on the
    training data, so that texts begin where their images' classes were.

    Args:
        model: with the tokenizer that it will be trained with.
        folder: of the trained model.
        event: gets a line for each module, with what was taken and what is new.
        tokens: the training data.

    Returns:
        the names of the predictor's weights that were taken or fitted.

    Raises:
        VartkError: the trained model has no transformer, or a weight does not fit.
    """
    trained = load_model(folder, plugins)
    if trained.predictor is None:
        raise _refused("transformer", folder, "it is a tokenizer alone; give a model with a transformer")
    assert model.predictor is not None
    if not _same(model.modules()[0], trained.modules()[0]):
        event(
            f"{_key('transformer', folder)}: its tokenizer is not the one that this training uses; if "
            f"neither was fine-tuned from the other, its transformer knows other codes: give "
            f"--tokenizer {folder}"
        )
    ours, its = model.config.transformer.name, trained.config.transformer.name
    if ours != its:
        raise _refused(
            "transformer",
            folder,
            f"its transformer is {its!r}, and this one is {ours!r}; take transformer={its}",
        )
    drawn = {name: weight.clone() for name, weight in model.predictor.conditioner.state_dict().items()}
    event(f"{_key('transformer', folder)}: transformer: {_take_transformer(model, trained, folder)}")
    event(f"{_key('transformer', folder)}: conditioner: {_take_conditioner(model, trained, tokens)}")
    given = trained.predictor.transformer.state_dict()  # type: ignore[attr-defined]
    conditioner = model.predictor.conditioner.state_dict()
    changed = [name for name, weight in conditioner.items() if not torch.equal(weight, drawn[name])]
    return [*(f"transformer.{name}" for name in given), *(f"conditioner.{name}" for name in changed)]


def _take_transformer(model: Model, trained: Model, folder: Path) -> str:
    """Copy the transformer's weights, and say which were taken, which are new, and what was resized."""
    assert model.predictor is not None
    assert trained.predictor is not None
    transformer: Any = model.predictor.transformer
    given = trained.predictor.transformer.state_dict()  # type: ignore[attr-defined]
    moved = ""
    if model.schedule != trained.schedule and hasattr(transformer, "moved_from"):
        given = transformer.moved_from(trained.schedule, given)
        moved = f"; places moved from the scales {trained.schedule} to {model.schedule}"
    return _take(transformer, given, "transformer", folder, moved)


def _take(
    module: nn.Module, given: Mapping[str, torch.Tensor], stage: str, folder: Path, moved: str = ""
) -> str:
    """Copy weights to a module, and say how many, how they were moved, and which of its weights are new."""
    own = module.state_dict()
    if problems := misfits(own, given, f"the new {stage}"):
        raise _refused(
            stage,
            folder,
            f"its {stage} does not fit: {told(problems)}; take the settings of its model.yaml for "
            f"{SETTINGS[stage]}",
        )
    module.load_state_dict(given, strict=False)
    new = [name for name in own if name not in given]
    taken = f"{len(given)} of {len(own)} weights taken{moved}"
    return f"{taken}; new: {_patterns(new)}" if new else taken


def _take_conditioner(model: Model, trained: Model, tokens: Tokens) -> str:
    """Copy the conditioner's weights if it is the same, or fit it, and say so, or why it is new."""
    ours, its = model.config.conditioner.name, trained.config.conditioner.name
    assert model.predictor is not None
    assert trained.predictor is not None
    conditioner = model.predictor.conditioner
    if isinstance(conditioner, JointConditioner) and its in conditioner.names:
        part = conditioner.parts[conditioner.names.index(its)]
        return f"new, but {its!r}: {_copy(part, trained, model)}"
    if ours != its:
        new = f"new, {ours!r} in the place of {its!r}"
        if not isinstance(conditioner, ImitatingConditioner) or trained.takes != "label":
            return new
        if model.config.classes != trained.config.classes:
            return f"{new}; not fitted, because the classes of the data are not those of the trained model"
        return f"{new}; {_fit(conditioner, trained.predictor.conditioner, tokens)}"
    return _copy(conditioner, trained, model)


def _copy(conditioner: Any, trained: Model, model: Model) -> str:
    """Copy the weights of the trained model's conditioner, and say so, or why they are new."""
    assert trained.predictor is not None
    given = trained.predictor.conditioner.state_dict()
    if model.classes != trained.classes:
        return f"new, for {len(model.classes)} classes that are not those of the trained model"
    if _shapes(conditioner.state_dict()) != _shapes(given):
        return "new, its weights have other shapes than those of the trained model"
    conditioner.load_state_dict(given)
    return f"{len(given)} of {len(given)} weights taken"


@torch.no_grad()
def _fit(conditioner: ImitatingConditioner, classes: Any, tokens: Tokens) -> str:
    """Let captions have the vectors of their images' classes, and return how well they have them."""
    labels = tokens.labels.tolist()
    others = tokens.others or [[]] * len(labels)
    pairs = dict.fromkeys(
        (caption, label)
        for one, more, label in zip(tokens.captions, others, labels, strict=True)
        for caption in (one, *more)
        if caption.strip()
    )
    texts = [caption for caption, _ in pairs]
    vectors = classes(classes.parse([label for _, label in pairs])).vector
    return conditioner.imitate(texts, vectors, classes(classes.null(1)).vector[0])


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


def _key(stage: str, folder: Path) -> str:
    return f"{KEY.format(stage)}={folder}"


def _refused(stage: str, folder: Path, reason: str) -> VartkError:
    return VartkError(f"{_key(stage, folder)}: {reason}")
