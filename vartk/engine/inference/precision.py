"""Precisions of inference by name."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from vartk_registry import VartkError

from .layers import packs


@dataclass(frozen=True, slots=True)
class Precision:
    """How modules compute.

    Args:
        dtype: of what autocast takes in half precision; float32 is without autocast.
        fast: whether copies with faster layers compute; else the model's modules do, as they are.
    """

    dtype: torch.dtype
    fast: bool

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """Return the context to compute in; float32 leaves the one around it as it is."""
        return nullcontext() if self.dtype is torch.float32 else torch.autocast(device.type, self.dtype)


PRECISIONS = {
    "plain": Precision(torch.float32, fast=False),
    "fp32": Precision(torch.float32, fast=True),
    "bf16": Precision(torch.bfloat16, fast=True),
    "fp16": Precision(torch.float16, fast=True),
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
    return PRECISIONS[name]
