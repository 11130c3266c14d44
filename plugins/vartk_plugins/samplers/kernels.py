"""Top-k and top-p on a GPU: a Triton program a row, without a sort.

Both bounds are found bit by bit, among float32 numbers as integers in the same order.

Legend: V classes.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

LEAST, MOST = 64, 16384
"""The classes for which a program a row is worth it, and those that fit into its registers."""


@triton.jit
def _filter(logits_ptr, out_ptr, V, k, rest, TOP_K: tl.constexpr, TOP_P: tl.constexpr, WIDTH: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    v = tl.arange(0, WIDTH)
    inside = v < V
    # a negative zero equals a positive one, though their bits differ
    x = tl.load(logits_ptr + row * V + v, mask=inside, other=float("-inf")) + 0.0
    bits = x.to(tl.int32, bitcast=True)
    key = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    if TOP_K:
        # the k-th largest: the largest number that at least k reach
        found = tl.full((), -2147483648, tl.int32)
        for bit in range(32):
            higher = found + (tl.full((), 1, tl.int32) << (31 - bit))
            reach = tl.sum((inside & (key >= higher)).to(tl.int32))
            found = tl.where(reach >= k, higher, found)
        x = tl.where(key >= found, x, float("-inf"))
    if TOP_P:
        p = tl.exp(x - tl.max(x))
        p = p / tl.sum(p)
        # half of the largest probability is far more than rounding, and leaves the most likely class alone
        bound = tl.minimum(1 - tl.max(p) / 2, rest)
        # the largest number below which the probability is within the bound
        found = tl.full((), -2147483648, tl.int32)
        for bit in range(32):
            higher = found + (tl.full((), 1, tl.int32) << (31 - bit))
            below = tl.sum(tl.where(key < higher, p, 0.0))
            found = tl.where(below <= bound, higher, found)
        below = tl.sum(tl.where(key < found, p, 0.0))
        ties = key == found
        # of the ties, as many go as fit under the bound
        order = tl.cumsum(ties.to(tl.int32), axis=0)
        gone = (key < found) | (ties & (below + p * order <= bound))
        x = tl.where(gone, float("-inf"), x)
    tl.store(out_ptr + row * V + v, x, mask=inside)


def filtered(logits_V: Tensor, *, top_k: int, top_p: float) -> Tensor:
    """Return what `filter.filtered` returns, for float32 logits [..., V] of `LEAST` to `MOST` classes.

    Sums of probabilities are added up in another order there, which can decide about a class at the bound.
    """
    logits_V = logits_V.contiguous()
    classes = logits_V.shape[-1]
    out_V = torch.empty_like(logits_V)
    _filter[logits_V.numel() // classes,](
        logits_V, out_V, classes, top_k, 1 - top_p,
        TOP_K=0 < top_k < classes, TOP_P=top_p > 0, WIDTH=triton.next_power_of_2(classes), num_warps=8,
    )  # fmt: skip
    return out_V
