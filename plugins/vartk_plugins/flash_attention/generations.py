"""The generations of flash-attn: where each is found, and what it serves.

Sources: flash_attn/flash_attn_interface.py, hopper/flash_attn_interface.py and
flash_attn/cute/interface.py of Dao-AILab/flash-attention, and their checks of the arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from vartk_registry.interfaces import AttentionRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A generation of the kernels.

    Args:
        name: what users call it.
        module: where `flash_attn_func` and `flash_attn_varlen_func` are.
        head_dims: by major compute capability, the largest head dim.
        backward: the major compute capabilities with a backward pass of varlen calls.
        dropout: whether the functions take `dropout_p`.
    """

    name: str
    module: str
    head_dims: Mapping[int, int]
    backward: Collection[int]
    dropout: bool

    def refusals(self, request: AttentionRequest, capability: tuple[int, int]) -> list[str]:
        """Return why it does not serve a request on a GPU of this compute capability."""
        major, minor = capability
        if major not in self.head_dims:
            return [f"no kernels for compute capability {major}.{minor}"]
        reasons = []
        if request.head_dim > self.head_dims[major]:
            reasons.append(f"head_dim {request.head_dim} is above {self.head_dims[major]}")
        if request.needs_grad and major not in self.backward:
            reasons.append(f"no backward pass for compute capability {major}.{minor}")
        if request.dropout and not self.dropout:
            reasons.append("no dropout")
        fits = request.head_dim <= 192 or capability in {(8, 0), (9, 0)}  # into shared memory
        if request.needs_grad and request.dropout and not fits:
            reasons.append(f"no backward pass of dropout with head_dim {request.head_dim} on this GPU")
        return reasons


GENERATIONS = (
    Generation(
        name="flash-attn 4",
        module="flash_attn.cute",
        head_dims={9: 256, 10: 128, 11: 128},
        backward=(9, 10, 11),
        dropout=False,
    ),
    Generation(
        name="flash-attn 3",
        module="flash_attn_interface",
        head_dims={9: 256},
        backward=(9,),
        dropout=False,
    ),
    Generation(
        name="flash-attn 2",
        module="flash_attn",
        head_dims=dict.fromkeys((8, 9, 10, 11, 12), 256),
        backward=(8, 9, 10, 11, 12),
        dropout=True,
    ),
)
"""Newest first."""


def refusals(request: AttentionRequest) -> list[str]:
    """Return why no generation serves a request, whatever the GPU."""
    reasons = []
    if request.device != "cuda":
        reasons.append(f"it serves cuda, not {request.device}")
    if request.dtype not in ("float16", "bfloat16"):
        reasons.append(f"it takes float16 and bfloat16, not {request.dtype}")
    if request.head_dim % 8:
        reasons.append(f"head_dim {request.head_dim} is not a multiple of 8")
    if request.mask.near is not None:
        reasons.append("it takes no mask of neighbourhoods")
    return reasons
