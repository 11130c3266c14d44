"""A model in a few lines, for `print` and notebooks."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from vartk_registry.interfaces import Schedule

from ..config import ModelConfig
from .build import grid

Parts = dict[str, tuple[str, Any]]
"""By its name, what a part is in words, and the module whose size is told, if it is one."""


def parts_of(config: ModelConfig, tokenizer: Any, schedule: Schedule, predictor: Any) -> Parts:
    """Return the parts of a next-scale model; a tokenizer alone has no predictor."""
    coder = f"{config.tokenizer.name} with quantizer {config.quantizer.name}"
    parts: Parts = {"tokenizer": (coder, tokenizer), "schedule": (str(schedule), None)}
    if predictor is not None:
        named = getattr(predictor.conditioner, "names", [config.conditioner.name])
        made = f"{config.transformer.name} with conditioner {' and '.join(named)}"
        slots = {kind: getattr(config.sampling, kind) for kind in ("guidance", "sampler", "cache")}
        chosen = ", ".join(f"{kind} {slot.name}" for kind, slot in slots.items())
        parts |= {"transformer": (made, predictor), "sampling": (chosen, None)}
    return parts


def described(config: ModelConfig, parts: Parts, classes: int, device: torch.device) -> str:
    """Return what a model is made of, a line each."""
    h, w = grid(config.image_size)
    rows = [f"  {name:12} {text}{_size(module)}" for name, (text, module) in parts.items()]
    return "\n".join([f"{w}x{h} pixels, {classes} classes, on {device}", *rows])


def _size(module: Any) -> str:
    """Return the number of parameters of a module in words; nothing if it is none."""
    if not isinstance(module, nn.Module):
        return ""
    count = sum(weight.numel() for weight in module.parameters())
    return f", {count / 1e3:.1f} K parameters" if count < 1e6 else f", {count / 1e6:.1f} M parameters"
