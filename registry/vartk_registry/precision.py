"""The precision in which a module computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def compute_dtype(weight: torch.Tensor) -> torch.dtype:
    """Return autocast's dtype where it is on for the weight's device, else the weight's."""
    import torch

    device = weight.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
