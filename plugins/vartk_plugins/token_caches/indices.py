"""Indices that Python knows, on a device."""

from __future__ import annotations

from functools import cache

import torch


@cache
def on_device(indices: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Return indices as a tensor, made once: a GPU would wait for each copy."""
    return torch.tensor(indices, device=device)
