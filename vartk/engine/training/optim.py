"""The optimizer and its learning rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from ...config import StageConfig

FIRST_RATE = 0.005
"""The learning rate that warm-up starts from, as a share of the peak (VAR's recipe)."""


def build_optimizer(module: nn.Module, config: StageConfig) -> torch.optim.Optimizer:
    """Return timm's AdamW; vectors, biases and what `no_weight_decay()` of a module names do not decay."""
    from timm.optim import create_optimizer_v2

    undecayed = {
        f"{prefix}.{name}" if prefix else name
        for prefix, part in module.named_modules()
        for name in getattr(part, "no_weight_decay", set)()
    }
    b1, b2 = config.betas
    groups: list[dict[str, Any]] = [
        {"params": [], "weight_decay": config.weight_decay},
        {"params": [], "weight_decay": 0.0},
    ]
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups[parameter.ndim <= 1 or name in undecayed]["params"].append(parameter)
    return create_optimizer_v2(groups, opt="adamw", lr=config.lr, betas=(b1, b2))


def build_scheduler(optimizer: torch.optim.Optimizer, config: StageConfig) -> LambdaLR:
    """Return a scheduler that sets `learning_rate` of each step."""
    return LambdaLR(optimizer, lambda step: learning_rate(step, config))


def learning_rate(step: int, config: StageConfig) -> float:
    """Return the learning rate of a step as a share of the peak: warm-up, flat, then linear descent."""
    warm = config.warmup * config.steps
    top = warm + config.flat * config.steps
    if step < warm:
        return FIRST_RATE + (1 - FIRST_RATE) * step / warm
    if step < top:
        return 1.0
    fallen = (step - top) / max(config.steps - top, 1)
    return 1 - (1 - config.final_lr) * min(fallen, 1.0)
