"""Checks that a configuration's parts fit together, without data and without weights."""

from __future__ import annotations

from vartk_registry import Plugins

from ..config import ModelConfig
from ..engine.build import build_transformer
from ..engine.folder import new_model
from ..engine.weightless import weightless


def validate_model(config: ModelConfig, plugins: Plugins) -> None:
    """Build the tokenizer and the transformer of a composed configuration.

    Raises:
        VartkError: the image size does not suit the tokenizer, the schedule does not end at its latent
            grid, or a component refuses its parameters.
    """
    with weightless():
        model = new_model(config, plugins, predictor=False)
        build_transformer(config, model.tokenizer, model.schedule, plugins.registry)
