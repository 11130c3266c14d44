"""The precision in which a module computes, and those that a CPU computes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def compute_dtype(weight: torch.Tensor) -> torch.dtype:
    """Return autocast's dtype where it is on for the weight's device, else the weight's."""
    import torch

    device = weight.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype


def cpu_multiplies(dtype: torch.dtype) -> bool:
    """Return whether oneDNN has matrix products of a dtype on this processor."""
    import torch

    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if dtype is torch.float16:
        return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
    return dtype is torch.float32
