"""Torch's flex attention: a kernel that is compiled for the mask, and skips the blocks it hides.

Legend: B batch, S and T query and key tokens, H heads, D head dim.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
from torch.utils._triton import has_triton

from vartk_registry.interfaces import AttentionRequest
from vartk_registry.masks import MaskSpec

_DTYPES = {"cuda": ("float16", "bfloat16", "float32"), "cpu": ("float16", "bfloat16", "float32", "float64")}
_LEAST_HEAD_DIM = 16
"""Of the kernel for CUDA: what Triton multiplies at least."""
_KERNELS = 256
"""How many shapes a process may compile for; torch's own limit, 8, is below the scales of an image."""


@dataclass(frozen=True)
class FlexAttention:
    """`torch.nn.attention.flex_attention`, one launch for a whole mask.

    On CUDA it is compiled, anew for every shape. On a CPU it runs uncompiled and holds all S x T scores:
    compiled it is as right, but takes seconds for every shape, and torch has no backward pass for either.
    """

    def unavailable(self) -> str:
        """Return an empty string: torch has it."""
        return ""

    def unsupported(self, request: AttentionRequest) -> list[str]:
        """Return what torch refuses on the device."""
        reasons = []
        dtypes = _DTYPES.get(request.device)
        if dtypes is None:
            reasons.append(f"it serves cuda and cpu, not {request.device}")
        elif request.dtype not in dtypes:
            reasons.append(f"it takes {', '.join(dtypes)}, not {request.dtype}")
        if request.device == "cuda" and request.head_dim < _LEAST_HEAD_DIM:
            reasons.append(f"head_dim {request.head_dim} is below {_LEAST_HEAD_DIM}")
        if request.device == "cuda" and not has_triton():
            reasons.append("it is compiled with Triton, which is not installed or does not know this GPU")
        if request.device == "cpu" and request.needs_grad:
            reasons.append("it has no backward pass on a CPU")
        if request.dropout:
            reasons.append("it has no dropout")
        return reasons

    def prepare(self, request: AttentionRequest) -> BlockMask | None:
        """Return which blocks are seen, in part or as a whole; nothing where all are."""
        return None if request.mask.is_full else _block_mask(request.mask, request.device)

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, scale: float, plan: BlockMask | None, dropout: float
    ) -> Tensor:
        """Compute attention; q [B, S, H, D], k and v [B, T, H, D], as q."""
        inputs = (x.transpose(1, 2) for x in (q, k, v))  # it takes [B, H, S, D]; these are views
        if torch.compiler.is_compiling():  # the model is compiled, and this with it
            out_BHSD = flex_attention(*inputs, block_mask=plan, scale=scale)
        elif q.device.type == "cpu":
            out_BHSD = _uncompiled(*inputs, block_mask=plan, scale=scale)
        else:
            with torch._dynamo.config.patch(recompile_limit=_KERNELS):
                out_BHSD = _compiled()(*inputs, block_mask=plan, scale=scale)
        return out_BHSD.transpose(1, 2)


@lru_cache(maxsize=64)
def _block_mask(mask: MaskSpec, device: str) -> BlockMask:
    """Return the blocks of a mask; the same object again, as torch compiles anew for another one."""
    return create_block_mask(mask.mask_mod(device), None, None, mask.q_len, mask.kv_len, device=device)


def _uncompiled(*inputs: Tensor, **settings: Any) -> Tensor:
    with warnings.catch_warnings(), torch.compiler.set_stance("force_eager"):
        warnings.filterwarnings("ignore", message="flex_attention called without torch.compile")
        return flex_attention(*(x.detach() for x in inputs), **settings)  # it refuses whatever has a gradient


@cache
def _compiled() -> Any:
    return torch.compile(flex_attention, dynamic=False, fullgraph=True)
