"""The data that a model is looked at with: --data CONFIG, the model's own run, or dataset=NAME."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..components import plugins
from ..config import EvalConfig, Layer, compose, load_layers

KEYS = ("dataset", "feature", "metrics")
"""The settings of an evaluation that are none of sampling."""

UNSAID = "does not say what images it was trained on"


def data_config(
    data: str | None, name: str, model: Path, chosen: Mapping[str, Any]
) -> tuple[EvalConfig, bool]:
    """Return the configuration that names dataset and feature, and whether anything has named the dataset.

    Args:
        data: what --data says.
        name: what the model was called; model: its folder.
        chosen: those of `KEYS` that were set.
    """
    if data is not None:
        layers = load_layers(data, plugins())
    elif (model.parent / "config.yaml").is_file():  # the run that made it
        layers = load_layers(str(model.parent), plugins())
    elif name in plugins().presets:
        layers = load_layers(name, plugins())
    else:
        layers = []
    named = bool(layers) or "dataset" in chosen
    return compose(EvalConfig, [*layers, Layer("command line", chosen)], plugins()).config, named
