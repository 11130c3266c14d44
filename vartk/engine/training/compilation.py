"""Whether the step of a training is compiled."""

from __future__ import annotations

import torch

from ...config import AUTO, StageConfig

WORTHWHILE_STEPS = 1_000
"""The steps of a run that repay the compiler's start: on an H100 a step of VAR-d16 gains about 40 ms."""


def compiles(config: StageConfig, device: torch.device, *, sharded: bool) -> bool:
    """Return what `compile` says, and for `auto` whether compilation pays.

    It does on CUDA with Triton, in a run of many steps. It depends on the length of the whole run, so that a
    resumed run computes what the whole one would have computed.

    Args:
        sharded: whether processes share the weights; gathering them would interrupt the compiled code.
    """
    if config.compile != AUTO:
        return bool(config.compile)
    if device.type != "cuda" or sharded or config.steps < WORTHWHILE_STEPS:
        return False
    from torch.utils._triton import has_triton

    return bool(has_triton())
