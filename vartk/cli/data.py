"""The data that a model is looked at with: --data CONFIG, the model's own run, or dataset=NAME."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..config import EvalConfig

KEYS = ("dataset", "feature", "metrics")
"""The settings of an evaluation that are none of sampling."""

UNSAID = "does not say what images it was trained on"


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data."""
    parser.add_argument(
        "--data",
        metavar="CONFIG",
        help="a preset, YAML file or run that names the dataset; by default the run that trained the model, "
        "or the preset with its name",
    )


def data_config(
    data: str | None, name: str, model: Path, chosen: Mapping[str, Any]
) -> tuple[EvalConfig, bool]:
    """Return the configuration that names dataset and feature, and whether anything has named the dataset.

    Args:
        data: what --data says.
        name: what the model was called; model: its folder.
        chosen: those of `KEYS` that were set.
    """
    from ..components import plugins
    from ..config import EvalConfig, Layer, compose, load_layers

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
