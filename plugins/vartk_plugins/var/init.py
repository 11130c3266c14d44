"""The initial weights of VAR (its recipe; paper, appendix B)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

HEAD = 0.02
"""Factor on the head's weight: the first logits are nearly equal."""
ADALN = 0.5
"""Factor on AdaLN's scales and shifts."""
SOFTMAX_SCALE = 4.0
"""The first softmax scale of each head, where it is learned."""


@torch.no_grad()
def initialise(
    model: Any, gain: float, places: Iterable[nn.Parameter | None], heads: Iterable[nn.Linear | None]
) -> None:
    """Draw the weights: truncated normals of std sqrt(1/(3 width)), biases 0, sub-layers damped.

    Args:
        model: a `ScaleTransformer`.
        gain: the factor on AdaLN's gains, which keeps each block near the identity at first.
        places: weights outside of layers; heads: the layers of logits. None stands for one that is not there.
    """
    width = model.start_position.shape[-1]
    std = math.sqrt(1 / (3 * width))
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.trunc_normal_(module.weight, std=std)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    for place in places:
        if place is not None:
            nn.init.trunc_normal_(place, std=std)
    for head in heads:
        if head is not None:
            head.weight.mul_(HEAD)
    model.head_modulation.weight.mul_(ADALN)
    for block in model.blocks:
        attention = block.attention
        nn.init.trunc_normal_(attention.qkv.weight, std=std)
        nn.init.zeros_(attention.qkv.q_bias)
        nn.init.zeros_(attention.qkv.v_bias)
        if attention.log_scale is not None:
            nn.init.constant_(attention.log_scale, math.log(SOFTMAX_SCALE))
        attention.proj.weight.div_(math.sqrt(2 * len(model.blocks)))
        block.ffn.fc2.weight.div_(math.sqrt(2 * len(model.blocks)))
        if block.shared_adaln:
            nn.init.normal_(block.modulation_offset, std=math.sqrt(1 / width))
            modulation = block.modulation_offset[0, 0]
        else:
            modulation = block.modulation.weight.unflatten(0, (6, width))
        modulation[:2].mul_(gain)
        modulation[2:].mul_(ADALN)
