"""LoRA (arXiv 2106.09685): small matrices beside the frozen ones of a transformer's blocks, through peft.

Legend: O outputs and I inputs of a layer, R the rank.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vartk_registry import MissingRequirement, Plugins, VartkError

from ..config import LoraConfig
from ..files import load_tensors, save_tensors
from .build import Predictor
from .folder import TRANSFORMER, fingerprint, load_model, new_model, read_model_config
from .model import Model

FOLDER = "adapters"
"""The folder of the adapters alone, inside a model folder."""
INFO = "adapters.json"
WEIGHTS = "adapters.safetensors"

_IN_A_BLOCK = re.compile(r"\.\d+\.")


def adapt(predictor: Predictor, lora: LoraConfig, taken: Collection[str]) -> None:
    """Put adapters beside the matrices of a predictor's blocks, and freeze what a trained model gave.

    Args:
        taken: the names of the weights that it gave; all others are trained, too.

    Raises:
        MissingRequirement: peft is not installed.
        VartkError: no trained model gave weights, or `modules` name no matrix of a block.
    """
    if not taken:
        raise VartkError(
            "train.transformer.lora adapts a trained model; name it, as in "
            "train.transformer.start_from=emoji64"
        )
    try:
        from peft import LoraConfig as PeftConfig
        from peft import inject_adapter_in_model
    except ImportError as error:
        raise MissingRequirement(
            "train.transformer.lora needs peft; type `pip install 'vartk[peft]'`"
        ) from error
    settings: dict[str, Any] = {"r": lora.rank, "lora_alpha": _alpha(lora), "target_modules": []}
    targets = _targets(predictor.transformer, lora.modules)  # type: ignore[arg-type]
    # parameters, not modules: a layer may be more than a matrix, as one with its activation is
    peft = PeftConfig(**settings, target_parameters=targets)
    inject_adapter_in_model(peft, predictor.transformer)  # type: ignore[arg-type]
    for name in targets:
        # peft's forward pass puts a matrix behind the other weights of its layer; an average of the weights,
        # which goes through both modules in order, needs it there from the beginning
        layer = predictor.transformer.get_submodule(f"{name.removesuffix('.weight')}.base_layer")  # type: ignore[attr-defined]
        layer.register_parameter("weight", layer._parameters.pop("weight"))
    for name, parameter in predictor.named_parameters():
        parameter.requires_grad_(".lora_" in name or _plain(name) not in taken)


def merged(weights: Mapping[str, torch.Tensor], scale: float) -> dict[str, torch.Tensor]:
    """Return the weights of a plain predictor from those of an adapted one: W + scale B A."""
    made = {_plain(name): weight for name, weight in weights.items() if ".lora_" not in name}
    for name, a_RI in weights.items():
        if name.endswith(".lora_A.default.weight"):
            b_OR = weights[name.replace(".lora_A.", ".lora_B.")]
            plain = f"{name.removesuffix('lora_A.default.weight')}weight"
            made[plain] = made[plain] + scale * (b_OR @ a_RI)
    return made


def scale_of(lora: LoraConfig) -> float:
    """Return the factor of the adapters."""
    return _alpha(lora) / lora.rank


def write_adapters(
    folder: Path, place: Path, name: str, base: Path, scale: float, learned: Mapping[str, torch.Tensor]
) -> None:
    """Write adapters alone, with the name or place, and the fingerprint, of the model that they belong to.

    Args:
        folder: where they are written; `place` is where they will be.
        name: of the model, as `train.transformer.start_from` has it; base: its folder.
    """
    save_tensors(learned, folder / WEIGHTS)
    bases = [name]
    if os.path.exists(name):  # the way to it holds where both are moved, its place where one is
        bases = [os.path.relpath(base.resolve(), place.resolve()), str(base.resolve())]
    info = {"base": bases, "transformer": fingerprint(base, TRANSFORMER), "scale": scale}
    (folder / INFO).write_text(json.dumps(info, indent=1))


def load_adapted(folder: Path, plugins: Plugins, find: Callable[[str], Path]) -> Model:
    """Read adapters alone and the model that they belong to, and return it with them merged in.

    Args:
        find: returns the folder of a model by its name, or raises `VartkError`.

    Raises:
        VartkError: the model is gone or has changed; errors as `load_model`.
    """
    try:
        info = json.loads((folder / INFO).read_text())
        bases, expected, scale = info["base"], info["transformer"], float(info["scale"])
        bases = [bases] if isinstance(bases, str) else list(map(str, bases))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VartkError(f"{folder / INFO} does not say which model the adapters are for: {error}") from error
    found = (_base(folder, name, expected, find) for name in bases)
    base = next(filter(None, found), None)
    if base is None:
        raise VartkError(
            f"the adapters in {folder} are for the model {bases[-1]}, which is not there or has changed; "
            f"give its folder as base in {folder / INFO}"
        )
    trained = load_model(base, plugins)
    model = new_model(read_model_config(folder, plugins), plugins)
    predictor: Any = model.predictor
    given = trained.predictor.transformer.state_dict()  # type: ignore[union-attr]
    if model.schedule != trained.schedule and hasattr(predictor.transformer, "moved_from"):
        given = predictor.transformer.moved_from(trained.schedule, given)
    own = {**predictor.state_dict(), **{f"transformer.{name}": weight for name, weight in given.items()}}
    predictor.load_state_dict(merged({**own, **load_tensors(folder / WEIGHTS)}, scale))
    model.modules()[0].load_state_dict(trained.modules()[0].state_dict())
    for module in model.modules():
        module.eval()
    return model


def _base(folder: Path, name: str, expected: str, find: Callable[[str], Path]) -> Path | None:
    """Return the folder of a model by its name or its way from the adapters; None if it is not the one."""
    base = folder / name
    if not base.is_dir():
        try:
            base = find(name)
        except VartkError:
            return None
    same = (base / TRANSFORMER).is_file() and fingerprint(base, TRANSFORMER) == expected
    return base if same else None


def _plain(name: str) -> str:
    """Return the name of a weight before there were adapters beside it."""
    return name.replace(".base_layer.", ".")


def _alpha(lora: LoraConfig) -> float:
    return float(lora.rank) if lora.alpha is None else lora.alpha


def _targets(transformer: nn.Module, modules: Sequence[str]) -> list[str]:
    """Return the names of the matrices that get adapters: of all blocks, or those of layers that end so."""
    matrices = [
        name
        for name, weight in transformer.named_parameters()
        if weight.ndim == 2 and name.endswith(".weight") and _IN_A_BLOCK.search(name)
    ]
    endings = tuple(f".{module}.weight" for module in modules)
    found = [name for name in matrices if not endings or name.endswith(endings)]
    if not found:
        parts = {_IN_A_BLOCK.split(name, maxsplit=1)[1].removesuffix(".weight") for name in matrices}
        raise VartkError(
            f"train.transformer.lora.modules={list(modules)} names no layer of a block; those of this "
            f"transformer are {', '.join(sorted(parts))}"
        )
    return found
