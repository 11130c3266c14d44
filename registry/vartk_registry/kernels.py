"""Whether a component's own GPU kernels serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def serves_triton(x: torch.Tensor, *, backward: bool = False) -> bool:
    """Return whether a Triton kernel may compute from x.

    It may on a GPU that Triton knows. `torch.compile` fuses operations by itself.

    Args:
        backward: whether the kernel has a backward pass; one that has none serves sampling alone.
    """
    import torch
    from torch.utils._triton import has_triton

    return (
        x.is_cuda
        and (backward or not torch.is_grad_enabled())
        and not torch.compiler.is_compiling()
        and bool(has_triton())
    )
