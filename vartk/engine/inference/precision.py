"""Precisions of inference by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vartk_registry import VartkError

from .layers import FastLinear, Int8Linear, packs


@dataclass(frozen=True, slots=True)
class Precision:
    """How modules compute.

    Args:
        dtype: of what autocast takes in half precision; float32 is without autocast.
        linear: makes the layer of each `nn.Linear`; None leaves all layers as they are.
    """

    dtype: torch.dtype
    linear: Callable[[nn.Linear], nn.Module] | None

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """Return the context to compute in; float32 leaves the one around it as it is."""
        return nullcontext() if self.dtype is torch.float32 else torch.autocast(device.type, self.dtype)


PRECISIONS = {
    "plain": Precision(torch.float32, None),
    "fp32": Precision(torch.float32, FastLinear),
    "bf16": Precision(torch.bfloat16, FastLinear),
    "fp16": Precision(torch.float16, FastLinear),
    "int8": Precision(torch.bfloat16, Int8Linear),
}


def precision(name: str, device: torch.device) -> Precision:
    """Return a precision by name; `auto` is half precision on a GPU and fp32 elsewhere.

    Raises:
        VartkError: the device cannot compute in it.
    """
    if name == "auto":
        name = "fp32" if device.type != "cuda" else "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if name == "fp16" and device.type == "cpu" and not packs(torch.float16, device):
        raise VartkError("precision=fp16: this processor has no arithmetic for it; take precision=bf16")
    if name == "int8" and device.type != "cpu":
        raise VartkError(f"precision=int8 runs on a CPU, not on {device}; take precision=bf16")
    return PRECISIONS[name]
