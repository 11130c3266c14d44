"""The first thing to do with a new model."""

from __future__ import annotations

from pathlib import Path

from ..components import plugins
from ..config import NO_GENERATOR
from ..engine.folder import TRANSFORMER, new_model, read_model_config
from ..engine.generators.folder import PIPELINE, weightless_generator
from ..engine.weightless import weightless


def first_command(folder: Path) -> str:
    """Return the command that shows what a model does: it samples, or a tokenizer alone reconstructs."""
    sample = f"vartk sample {folder}"
    if (folder / PIPELINE).is_file():  # only its library knows what it takes
        return f"{sample} --out DIR"
    config = read_model_config(folder, plugins())
    if config.generator.name != NO_GENERATOR:
        takes = weightless_generator(config, plugins()).takes
    elif (folder / TRANSFORMER).is_file():
        with weightless():
            takes = new_model(config, plugins()).takes
    else:
        return f"vartk reconstruct {folder} IMAGE --out DIR"
    return f"{sample} --prompt TEXT --out DIR" if takes == "caption" else f"{sample} --out DIR"
