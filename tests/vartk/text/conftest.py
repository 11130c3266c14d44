"""A tiny model of prompts, in memory and in a folder."""

from pathlib import Path

import pytest
from tiny_text import text_model

import vartk
from vartk.engine.model import Model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Build the model."""
    return text_model(tmp_path_factory.mktemp("text") / "encoder")


@pytest.fixture(scope="module")
def folder(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the model that a module has as `model`."""
    folder = tmp_path_factory.mktemp("model") / "model"
    vartk.save(model, folder)
    return folder
