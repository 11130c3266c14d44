"""What the machine can do at most, measured: matrix products, and copying memory."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..timing import in_turns

_SIDES = (1024, 2048, 4096, 8192)
_LONGEST = 0.5
"""Seconds of a product from which on larger ones are left out."""

_COPIED = 2**28
"""Bytes of the tensor that is copied."""

_REPEATS = 5


def matmul_peak(dtype: torch.dtype, device: torch.device) -> float:
    """Return the FLOP/s of the fastest product of two square matrices, of several sizes and several tries."""
    best = 0.0
    for side in _SIDES:
        flops = 2 * side**3
        if best and flops / best > _LONGEST:
            break
        a, b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
        best = max(best, flops / _fastest(lambda a=a, b=b: torch.mm(a, b), device))
    return best


def memory_bandwidth(device: torch.device) -> float:
    """Return the bytes/s, read and written, of copying a tensor; the best of several tries."""
    source = torch.ones(_COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * _COPIED / _fastest(lambda: target.copy_(source), device)


def _fastest(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of the fastest of some turns, after one to warm up."""
    _, *seconds = in_turns({"": work}, _REPEATS + 1, device, lambda name: None)[""]
    return min(seconds)
