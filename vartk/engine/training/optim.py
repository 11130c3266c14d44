"""The optimizer and its learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

from ...config import StageConfig

BASE_BATCH = 256
"""The batch that `lr` is for, where it is scaled."""

FIRST_RATE = 0.005
"""The learning rate that warm-up starts from, as a share of the peak (VAR's recipe)."""


def build_optimizer(
    module: nn.Module, config: StageConfig, shares: Mapping[str, float] = MappingProxyType({})
) -> torch.optim.Optimizer:
    """Return timm's AdamW; vectors, biases and what `no_weight_decay()` of a module names do not decay.

    Args:
        shares: by the names of weights, their learning rate as a share of the others'.
    """
    from timm.optim import create_optimizer_v2

    undecayed = {
        f"{prefix}.{name}" if prefix else name
        for prefix, part in module.named_modules()
        for name in getattr(part, "no_weight_decay", set)()
    }
    b1, b2 = config.betas
    # in turns, a group that decays and one that does not
    groups: list[dict[str, Any]] = [
        {"params": [], "weight_decay": decay} for decay in (config.weight_decay, 0.0)
    ]
    others = sorted({share for share in shares.values() if share not in (0, 1)})  # with 0 they are frozen
    groups += [
        {"params": [], "weight_decay": decay, "share": share}
        for share in others
        for decay in (config.weight_decay, 0.0)
    ]
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            share = shares.get(name, 1)
            first = 2 * (1 + others.index(share)) if share in others else 0
            groups[first + (parameter.ndim <= 1 or name in undecayed)]["params"].append(parameter)
    # fused: one pass over the weights, on a CPU ten times as fast as a pass for each operation
    return create_optimizer_v2(groups, opt="adamw", lr=peak(config), betas=(b1, b2), fused=True)


def make_state(module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Give every parameter its state now, so that all checkpoints of a run have the same keys.

    Otherwise one that no gradient has reached yet would have none.
    """
    get_optimizer_state_dict(module, optimizer)  # takes a step without gradients, which must not count
    for state in optimizer.state.values():
        state["step"].zero_()


def step_if(optimizer: torch.optim.Optimizer, finite: torch.Tensor) -> None:
    """Take the step of a fused optimizer if a boolean on its device is true; Python does not wait for it.

    Otherwise weights, moments and the count of steps stay as they are.
    """
    # a gradient scaler tells a fused optimizer in this way
    optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
    optimizer.step()
    del optimizer.found_inf  # type: ignore[attr-defined]


def set_rates(optimizer: torch.optim.Optimizer, step: int, config: StageConfig) -> float:
    """Set what the step after `step` steps takes: decays, and the learning rate, which is returned."""
    rate = peak(config) * learning_rate(step, config)
    for group in optimizer.param_groups:
        group["lr"], group["betas"] = rate * group.get("share", 1.0), tuple(config.betas)
    for decayed in optimizer.param_groups[::2]:
        decayed["weight_decay"] = weight_decay(step, config)
    return rate


def peak(config: StageConfig) -> float:
    """Return the peak learning rate: linear in the batch with `lr_scaling` (arXiv 1706.02677)."""
    return config.lr * config.batch / BASE_BATCH if config.lr_scaling else config.lr


def weight_decay(step: int, config: StageConfig) -> float:
    """Return the weight decay of a step: from the first to the last along half a cosine."""
    first, last = config.weight_decay, config.final_weight_decay
    if last is None:
        return first
    passed = min(step / max(config.steps - 1, 1), 1.0)
    return last + (first - last) * (1 + math.cos(math.pi * passed)) / 2


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
