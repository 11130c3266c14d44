"""Where the models of a comparison come from: trained ones, or random weights of a preset or a YAML file.

Random weights show speed and memory at any size, where no model has been trained.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vartk_registry import VartkError

from ..bench.model import read_model
from ..components import plugins
from ..config import ModelConfig, model_part
from ..engine.device import as_device
from ..engine.model import Model
from ..hub import fingerprints, load_scales, local_model

_KEYS = {field.name for field in dataclasses.fields(ModelConfig)}

_OWN = ("transformer", "calibration")
"""Keys that are those of one of two models that share a tokenizer."""


@dataclass(frozen=True, slots=True)
class Source:
    """Opens the model of a comparison and the refiners of its ways, in another process too.

    Args:
        name: of a model or, for random weights, of a configuration.
        device: where the models go.
        words: for random weights, the `key=value` settings of the configuration; None for trained weights.
    """

    name: str
    device: str
    words: tuple[str, ...] | None = None

    @property
    def random(self) -> bool:
        """Whether the weights are random ones, the same in every run."""
        return self.words is not None

    def open(self) -> Model:
        """Return the model.

        Raises:
            VartkError: there is no such model or device, or the configuration is not valid.
        """
        if self.words is None:
            return load_scales(self.name, device=self.device)
        return _random_model(self.name, self.words, self.device)

    def open_refiner(self, name: str) -> Model:
        """Return another model; with random weights it has the tokenizer of an equal configuration.

        Settings of the first model's transformer are its alone.

        Raises:
            VartkError: there is no such model; or, with random weights, `name` is no configuration, or it is
                not valid.
        """
        if self.words is None:
            return load_scales(name, device=self.device)
        if not is_configuration(name):
            raise VartkError(
                f"refiner={name} is no preset and no YAML file, which the refiner of a model with random "
                "weights has to be; name one, or compare ways of a trained model"
            )
        shared = [word for word in self.words if word.partition("=")[0].partition(".")[0] not in _OWN]
        return _random_model(name, shared, self.device)

    def weights(self, name: str, model: Model) -> dict[str, Any]:
        """Return what decides the weights of a model that was opened by a name."""
        if self.random:
            return {"random": model_part(model.config)}
        return dict(fingerprints(name))


def is_configuration(name: str) -> bool:
    """Return whether a name is that of a preset or a YAML file, and of no model that is here."""
    is_file = Path(name).suffix in (".yaml", ".yml") and os.path.isfile(name)
    return local_model(name) is None and (is_file or name in plugins().presets)


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return those `key=value` words that say how a model is made, and those of sampling."""
    of_model = [word for word in words if word.partition("=")[0].partition(".")[0] in _KEYS]
    return of_model, [word for word in words if word not in of_model]


def _random_model(name: str, words: Sequence[str], device: str) -> Model:
    where = as_device(device)
    return read_model(name, words).to(where)
