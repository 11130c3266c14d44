"""The draw of `KeyedRandom` on a GPU, a Triton program a code.

Legend: V classes.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 4096
"""Classes that a program looks at in one go, at most."""


@triton.jit
def _race(p_ptr, key_ptr, out_ptr, V, offset, WIDTH: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    key = tl.load(key_ptr + row)
    start = key.to(tl.int32) + offset
    stride = (key >> 32).to(tl.int32) | 1
    best = tl.full((), -1.0, tl.float32)
    winner = tl.full((), 0, tl.int32)
    for first in range(0, V, WIDTH):
        v = first + tl.arange(0, WIDTH)
        x = v * stride + start
        # the hash of `vartk_registry.noise.mixed`, shifted as unsigned integers are
        x = (x ^ ((x >> 16) & 0xFFFF)) * 0x7FEB352D
        x = (x ^ ((x >> 15) & 0x1FFFF)) * -2073254261
        x = x ^ ((x >> 16) & 0xFFFF)
        uniform = x.to(tl.float32) * 2.3283064365386963e-10 + 0.5
        uniform = tl.minimum(tl.maximum(uniform, 1.1641532182693481e-10), 1 - 5.960464477539063e-08)
        # -log1p(-uniform), right for small numbers, too
        rest = 1 - uniform
        log = tl.where(rest == 1, uniform, -tl.log(rest) * (uniform / tl.where(rest == 1, 1.0, 1 - rest)))
        p = tl.load(p_ptr + row * V + v, mask=v < V, other=0.0).to(tl.float32)
        score = tl.where(v < V, p / log, -1.0)
        top = tl.max(score)
        place = tl.min(tl.where(score == top, v, 2147483647))
        winner = tl.where(top > best, place, winner)
        best = tl.maximum(top, best)
    tl.store(out_ptr + row, winner.to(tl.int64))


def race(probabilities_V: Tensor, keys: Tensor, offset: int) -> Tensor:
    """Return the classes [...] that win for probabilities [..., V], as `KeyedRandom.categorical`.

    Args:
        keys: int64, as many as classes are drawn.
        offset: int32, added to the keys: another one for each call.
    """
    probabilities_V = probabilities_V.contiguous()
    out = probabilities_V.new_empty(probabilities_V.shape[:-1], dtype=torch.int64)
    classes = probabilities_V.shape[-1]
    width = min(BLOCK, triton.next_power_of_2(classes))
    _race[out.numel(),](probabilities_V, keys.contiguous(), out, classes, offset, WIDTH=width)
    return out
