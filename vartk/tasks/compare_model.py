"""Random weights to compare ways with: speed and memory at any size, where no model has been trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from vartk_registry import VartkError

from ..bench.model import read_model
from ..components import plugins
from ..config import ModelConfig
from ..engine.device import as_device
from ..engine.model import Model
from ..hub import local_model

_KEYS = {field.name for field in dataclasses.fields(ModelConfig)}

_OWN = ("transformer", "calibration")
"""Keys that are those of one of two models that share a tokenizer."""


def is_configuration(name: str) -> bool:
    """Return whether a name is that of a preset or a YAML file, and of no model that is here."""
    is_file = Path(name).suffix in (".yaml", ".yml") and Path(name).is_file()
    return local_model(name) is None and (is_file or name in plugins().presets)


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return those `key=value` words that say how a model is made, and those of sampling."""
    of_model = [word for word in words if word.partition("=")[0].partition(".")[0] in _KEYS]
    return of_model, [word for word in words if word not in of_model]


def random_model(name: str, words: Sequence[str], device: str) -> Model:
    """Return a model of a preset or a YAML file, as `vartk bench sample` makes it: always the same weights.

    Args:
        words: `key=value` settings of the configuration.

    Raises:
        VartkError: the configuration is not valid, or there is no such device.
    """
    where = as_device(device)
    return read_model(name, words).to(where)


def random_refiner(words: Sequence[str], device: str, name: str) -> Model:
    """Return another such model, with the same tokenizer where its configuration is the same.

    Args:
        words: settings of the first model's configuration; those of its transformer are its alone.

    Raises:
        VartkError: `name` is no configuration, or it is not valid.
    """
    if not is_configuration(name):
        raise VartkError(
            f"refiner={name} is no preset and no YAML file, which the refiner of a model with random weights "
            "has to be; name one, or compare ways of a trained model"
        )
    shared = [word for word in words if word.partition("=")[0].partition(".")[0] not in _OWN]
    return random_model(name, shared, device)
