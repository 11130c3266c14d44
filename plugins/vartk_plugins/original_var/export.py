"""A model's weights under the original's names, with the buffers that it saves beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import Schedule

from .keys import original_name

_ONLY = {
    "tokenizer": {"name": ("var_vqvae",)},
    "quantizer": {"name": ("vq", "vq-cosine")},
    "conditioner": {"name": ("class",)},
    "transformer": {"name": ("var",), "patch": (1,), "context": (None,), "positions": ("learned",)},
}
"""What the original can be, by slot and parameter."""


def require_original(config: Mapping[str, Any], schedule: Schedule, *, with_transformer: bool) -> None:
    """Raise `VartkError` if a model has what the original lacks, naming all of it."""
    slots = _ONLY if with_transformer else {kind: _ONLY[kind] for kind in ("tokenizer", "quantizer")}
    found = [
        f"{kind}.{key}={config[kind][key]}"
        for kind, rules in slots.items()
        for key, allowed in rules.items()
        if key in config[kind] and config[kind][key] not in allowed
    ]
    if schedule.raster or any(h != w for h, w in schedule.grids):
        found.append(f"schedule={schedule}")
    if found:
        raise VartkError(
            f"the original VAR has no {', '.join(found)}, so this model cannot be exported to it"
        )


def original_tokenizer(
    weights: Mapping[str, torch.Tensor], schedule: Schedule, phi: int
) -> dict[str, torch.Tensor]:
    """Return the original's state dict of a VQVAE, but its counts of codes, which vartk does not keep.

    Args:
        phi: number of convolutions: one is shared by all scales, as many as scales are not shared.
    """
    kinds = {1: "quantize.quant_resi.qresi", len(schedule): "quantize.quant_resi.{}"}
    module = kinds.get(phi, "quantize.quant_resi.qresi_ls.{}")
    present = [f"{module.format(index)}.weight" for index in range(phi)]
    return {original_name(name, present): weight for name, weight in weights.items()}


def original_transformer(weights: Mapping[str, torch.Tensor], schedule: Schedule) -> dict[str, torch.Tensor]:
    """Return the original's state dict of a VAR, with the buffers that depend on the schedule."""
    state: dict[str, torch.Tensor] = {}
    for name, weight in weights.items():
        original = original_name(name)
        state[original] = weight.view(1, -1, 1, 1) if name.endswith("log_scale") else weight
        if original.endswith("attn.q_bias"):
            state[original.replace("q_bias", "zero_k_bias")] = torch.zeros_like(weight)
    level_L = torch.tensor(schedule.levels)
    hidden_LL = level_L[:, None] < level_L[None, :]
    state["lvl_1L"] = level_L[None]
    state["attn_bias_for_masking"] = torch.zeros(hidden_LL.shape).masked_fill(hidden_LL, -torch.inf)[
        None, None
    ]
    return state
