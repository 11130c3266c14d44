"""A mask as sequences of different lengths, packed one after another: what varlen kernels take.

Each segment of queries becomes a sequence, with the keys that it sees. Keys that several segments see
are repeated, so that one launch serves the whole mask of the whole batch, and autograd adds up their
gradients. For VAR at 256 pixels that copies 1,710 rows of K and of V an image in the place of 680. One
call a segment would copy no key, but takes ten launches, and ten sums over gradients of all keys.

Legend: B images, S and T query and key tokens of an image, H heads, D head dim; N keys with repetitions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vartk_registry.masks import MaskSpec

Varlen = Callable[..., Tensor]
"""`flash_attn_varlen_func`: q, k, v [tokens, H, D], cumulative lengths, the greatest; returns as q."""


@dataclass(frozen=True, slots=True)
class Packed:
    """The sequences of one image.

    Args:
        q_lens, k_lens: their lengths, int32.
        max_q, max_k: the greatest of them.
        keys: where the keys of all sequences are, one after another [N]; None if they are in place.
    """

    q_lens: Tensor
    k_lens: Tensor
    max_q: int
    max_k: int
    keys: Tensor | None


def packed(mask: MaskSpec, device: str) -> Packed:
    """Return a mask as sequences; its lengths and the index of its keys lie on the device."""
    q_lens = [rows.stop - rows.start for rows, _ in mask.segments()]
    k_lens = [sum(stop - start for start, stop in spans) for _, spans in mask.segments()]
    keys = torch.cat([torch.arange(*span) for _, spans in mask.segments() for span in spans])
    in_place = torch.equal(keys, torch.arange(mask.kv_len))
    return Packed(
        torch.tensor(q_lens, dtype=torch.int32, device=device),
        torch.tensor(k_lens, dtype=torch.int32, device=device),
        max(q_lens),
        max(k_lens),
        None if in_place else keys.to(device),
    )


def attend_packed(varlen: Varlen, q_BSHD: Tensor, k_BTHD: Tensor, v_BTHD: Tensor, plan: Packed) -> Tensor:
    """Compute attention [B, S, H, D] in one varlen call."""
    batch = len(q_BSHD)
    if plan.keys is not None:
        k_BTHD, v_BTHD = k_BTHD.index_select(1, plan.keys), v_BTHD.index_select(1, plan.keys)
    out = varlen(
        q_BSHD.flatten(0, 1),
        k_BTHD.flatten(0, 1),
        v_BTHD.flatten(0, 1),
        cu_seqlens_q=cumulative(plan.q_lens, batch),
        cu_seqlens_k=cumulative(plan.k_lens, batch),
        max_seqlen_q=plan.max_q,
        max_seqlen_k=plan.max_k,
    )
    return out.unflatten(0, (batch, -1))


def cumulative(lens: Tensor, batch: int) -> Tensor:
    """Return where each sequence of a batch begins and the last one ends, int32 [sequences + 1]."""
    return F.pad(lens.repeat(batch).cumsum(0, dtype=torch.int32), (1, 0))
