"""The model that a benchmark measures: a folder's, or random weights of a preset or a YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import nn

from vartk_registry import VartkError

from ..components import plugins
from ..config import Config, Layer, ModelConfig, compose, load_layers, parse_overrides, read_yaml
from ..engine.folder import CONFIG, TOKENIZER, TRANSFORMER, new_model
from ..engine.model import Model
from ..engine.weights import load_weights
from ..files import load_tensors
from ..hub import local_model


def model_config(name: str, overrides: Sequence[str] = ()) -> ModelConfig:
    """Return the configuration of a preset, a YAML file, a training run or a model folder.

    Raises:
        VartkError: there is none, or it is not valid with the overrides `key=value`.
    """
    given = parse_overrides(overrides)
    folder = local_model(name)
    if folder is not None:
        path = folder / CONFIG
        return compose(ModelConfig, [Layer(str(path), read_yaml(path)), given], plugins()).config
    config = compose(Config, [*load_layers(name, plugins()), given], plugins()).config
    config.classes = class_names(config)
    return config


def class_names(config: Config) -> list[str]:
    """Return the names of the classes; those of the dataset, if it is here and there are no others."""
    if not config.classes:
        with suppress(VartkError):
            slot = config.dataset
            return plugins().registry.build("dataset", slot.name, slot.params, split="train").classes
    return config.classes


def read_model(name: str, overrides: Sequence[str], *, predictor: bool = True) -> Model:
    """Return a model with its own weights where it is a folder, else with random ones.

    Args:
        predictor: whether the transformer is needed; without it a tokenizer's folder will do.

    Raises:
        VartkError: there is no such model or preset, or it has no transformer.
    """
    config = model_config(name, overrides)
    folder = local_model(name)
    torch.manual_seed(0)
    model = new_model(config, plugins(), predictor=predictor)
    files = (TOKENIZER, TRANSFORMER)
    for module, file in zip(model.modules(), files, strict=predictor):
        if folder is None:
            if file == TRANSFORMER:
                draw_weights(module)
        else:
            load_weights(module, load_tensors(folder / file), folder / file)
        module.eval().requires_grad_(False)
    return model


def draw_weights(module: nn.Module) -> None:
    """Draw weights of which each matters to the loss; those that training starts from mostly do not."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=part.in_features**-0.5)
