"""Whether a component's own GPU kernels serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def serves_triton(x: torch.Tensor) -> bool:
    """Return whether a Triton kernel without a backward pass may compute from x.

    It may where sampling runs on a GPU that Triton knows. `torch.compile` fuses operations by itself.
    """
    import torch
    from torch.utils._triton import has_triton

    return (
        x.is_cuda and not torch.is_grad_enabled() and not torch.compiler.is_compiling() and bool(has_triton())
    )
