"""Model folders of generators: `model.yaml` and weights in safetensors; or a pipeline of diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vartk_registry import Plugins
from vartk_registry.interfaces import Tokenizer

from ...config import ModelConfig, Slot, model_part
from ...files import load_tensors, save_tensors
from ..build import build_tokenizer, grid
from ..weightless import weightless
from ..weights import load_weights
from .model import GeneratorModel

TOKENIZER = "tokenizer.safetensors"
GENERATOR = "generator.safetensors"
PIPELINE = "model_index.json"
"""What a folder of diffusers has."""

KEYS = ("image_size", "tokenizer", "quantizer", "schedule", "classes", "generator")
"""The keys that `model.yaml` of a generator holds."""


def new_generator(config: ModelConfig, plugins: Plugins, tokenizer: Tokenizer | None) -> GeneratorModel:
    """Build a generator with fresh weights from a checked configuration, for a frozen tokenizer."""
    slot = config.generator
    generator = plugins.registry.build(
        "generator",
        slot.name,
        slot.params,
        classes=config.classes,
        image_size=grid(config.image_size),
        tokenizer=tokenizer,
    )
    return GeneratorModel(config, generator, tokenizer, plugins)


def weightless_generator(config: ModelConfig, plugins: Plugins) -> GeneratorModel:
    """Build a generator and its tokenizer on the meta device, where weights have shapes and no data."""
    with weightless():
        tokenizer = build_tokenizer(config, plugins.registry).eval()  # type: ignore[attr-defined]
        return new_generator(config, plugins, tokenizer)


def load_generator(folder: Path, config: ModelConfig, plugins: Plugins) -> GeneratorModel:
    """Read the folder of a generator; one without weights has them elsewhere, as a pipeline does."""
    tokenizer = None
    if (folder / TOKENIZER).is_file():
        tokenizer = build_tokenizer(config, plugins.registry)
        load_weights(tokenizer, load_tensors(folder / TOKENIZER), folder / TOKENIZER)
        tokenizer.eval().requires_grad_(False)
    model = new_generator(config, plugins, tokenizer)
    if (folder / GENERATOR).is_file():
        load_weights(model.generator, load_tensors(folder / GENERATOR), folder / GENERATOR)
    model.generator.eval()
    return model


def load_pipeline(folder: Path, plugins: Plugins) -> GeneratorModel:
    """Read a pipeline's folder as diffusers saves it."""
    config = ModelConfig(generator=Slot(name="diffusers", params={"path": str(folder)}))
    return load_generator(folder, config, plugins)


def write_generator(
    folder: Path,
    config: ModelConfig,
    tokenizer: Mapping[str, torch.Tensor],
    generator: Mapping[str, torch.Tensor],
    card: str,
) -> None:
    """Write a configuration and weights into a folder; use within `whole_folder`."""
    from omegaconf import OmegaConf

    kept: dict[str, Any] = {key: value for key, value in model_part(config).items() if key in KEYS}
    save_tensors(tokenizer, folder / TOKENIZER)
    save_tensors(generator, folder / GENERATOR)
    (folder / "README.md").write_text(card)
    (folder / "model.yaml").write_text(OmegaConf.to_yaml(kept))
