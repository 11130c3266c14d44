"""Model folders: `model.yaml`, the weights in safetensors, and a model card."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vartk_registry import Plugins, VartkError, shown

from ..config import NO_GENERATOR, Layer, ModelConfig, compose, model_part, read_yaml
from ..files import load_tensors, save_tensors, whole_folder
from .arguments import as_dtype, as_path
from .build import build_predictor, build_schedule, build_tokenizer, cell_of, grid
from .generators.folder import PIPELINE, TOKENIZER, load_generator, load_pipeline
from .generators.model import GeneratorModel
from .model import Model
from .weightless import weightless
from .weights import check_finite, load_weights

CONFIG = "model.yaml"
TRANSFORMER = "transformer.safetensors"
CARD = "README.md"


def new_model(config: ModelConfig, plugins: Plugins, *, predictor: bool = True) -> Model:
    """Build a model with fresh weights from a checked configuration."""
    tokenizer = build_tokenizer(config, plugins.registry)
    size = grid(config.image_size)
    latent = tokenizer.latent_grid(size)
    schedule = build_schedule(config.schedule, latent, plugins.registry, cell=cell_of(size, latent))
    made = build_predictor(config, tokenizer, schedule, plugins.registry) if predictor else None
    return Model(config, tokenizer, schedule, made, plugins)


def load_any(folder: Path, plugins: Plugins) -> Model | GeneratorModel:
    """Read the folder of a model of any sort; errors as `load_model`."""
    if (folder / PIPELINE).is_file():
        return load_pipeline(folder, plugins)
    config = read_model_config(folder, plugins) if (folder / CONFIG).is_file() else None
    if config is None or config.generator.name == NO_GENERATOR:
        return load_model(folder, plugins)
    return load_generator(folder, config, plugins)


def load_model(folder: Path, plugins: Plugins) -> Model:
    """Read the folder of a next-scale model; a folder without a transformer gives a tokenizer alone.

    Raises:
        VartkError: a file is missing, truncated, does not fit the configuration, or has weights that are
            not finite.
    """
    if not (folder / CONFIG).is_file():
        raise VartkError(f"{folder} is not a model folder: it has no {CONFIG}")
    config = read_model_config(folder, plugins)
    if config.generator.name != NO_GENERATOR:
        raise VartkError(
            f"{folder} holds a generator ({config.generator.name}), which has no scales; this needs a "
            "next-scale model"
        )
    complete = (folder / TRANSFORMER).is_file()
    with weightless():
        model = new_model(config, plugins, predictor=complete)
    if any(map(_computes_buffers, model.modules())):
        model = new_model(config, plugins, predictor=complete)
    for module, name in zip(model.modules(), (TOKENIZER, TRANSFORMER), strict=False):
        load_weights(module, load_tensors(folder / name), folder / name)
        module.eval()
    return model


def read_model_config(folder: Path, plugins: Plugins) -> ModelConfig:
    """Read and check the configuration of a model folder."""
    path = folder / CONFIG
    return compose(ModelConfig, [Layer(str(path), read_yaml(path))], plugins).config


def save_model(
    model: Model, folder: str | Path, card: str = "", *, dtype: torch.dtype = torch.float32
) -> None:
    """Write a model as a new folder, whole or not at all.

    Args:
        dtype: of the weights in the files; float16 halves them, and they are read as float32 again.

    Raises:
        VartkError: `folder` exists, weights are not finite, in `dtype` at least, or an argument is none of
            its kind.
    """
    if not isinstance(model, Model):
        raise VartkError(f"a {type(model).__name__} is no model to save; give one that vartk.load returns")
    if not isinstance(card, str):
        raise VartkError(f"card={shown(card)} must be the text of a README.md")
    folder, dtype = as_path(folder, "folder to save a model in"), as_dtype(dtype)
    weights = [
        {k: t.to(dtype) if t.is_floating_point() else t for k, t in module.state_dict().items()}
        for module in model.modules()
    ]
    for module, tensors in zip(model.modules(), weights, strict=True):
        check_finite(module, tensors, f"the model to save in {str(dtype).removeprefix('torch.')}")
    with whole_folder(folder) as aside:
        write_model(
            aside, model_part(model.config), weights[0], weights[1] if len(weights) > 1 else None, card
        )


def write_model(
    folder: Path,
    config: Mapping[str, Any],
    tokenizer: Mapping[str, torch.Tensor],
    transformer: Mapping[str, torch.Tensor] | None,
    card: str,
) -> None:
    """Write a plain configuration and weights into a folder; use within `whole_folder`."""
    from omegaconf import OmegaConf

    save_tensors(tokenizer, folder / TOKENIZER)
    if transformer is not None:
        save_tensors(transformer, folder / TRANSFORMER)
    (folder / CARD).write_text(card)
    (folder / CONFIG).write_text(OmegaConf.to_yaml(dict(config)))


def _computes_buffers(module: torch.nn.Module) -> bool:
    """Return whether some buffers are not among the saved weights, so that building must make them."""
    saved = module.state_dict()
    return any(name not in saved for name, _ in module.named_buffers())


def fingerprint(folder: Path, file: str = TOKENIZER) -> str:
    """Return the SHA-256 of a file of a model folder: of the tokenizer's weights, which codes depend on."""
    with (folder / file).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
