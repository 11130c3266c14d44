"""The forms in which xFormers can be given a mask: its own biases, or calls without any."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from vartk_registry.masks import MaskSpec


class Form(Enum):
    """How a mask is handed over."""

    WHOLE = "one call, every query sees every key"
    CAUSAL = "LowerTriangularMask: a query sees its own key and all before it"
    TILED = "BlockDiagonalMask: the segments see keys one after another, each of their own"
    GAPPY = "BlockDiagonalGappyKeysMask: each segment sees one interval; it has no backward pass"
    CALLS = "one call a segment, on the keys that it sees"


def forms(mask: MaskSpec, needs_grad: bool) -> Iterator[Form]:
    """Yield the forms that express a mask, those with one launch first."""
    if mask.is_full:
        yield Form.WHOLE
        return
    if mask.is_causal:
        yield Form.CAUSAL
    seen = [spans for _, spans in mask.segments()]
    if all(len(spans) == 1 for spans in seen):
        edges = [0, *(edge for ((start, stop),) in seen for edge in (start, stop)), mask.kv_len]
        if edges[::2] == edges[1::2]:  # each begins where the one before ends
            yield Form.TILED
        elif not needs_grad:
            yield Form.GAPPY
    yield Form.CALLS


def bias(mask: MaskSpec, form: Form, device: Any) -> Any:
    """Return a mask of one interval a segment as a bias, of the form `CAUSAL`, `TILED` or `GAPPY`.

    The last two take one sequence: for a batch, the mask is that of all images side by side.
    """
    from xformers.ops.fmha.attn_bias import (
        BlockDiagonalGappyKeysMask,
        BlockDiagonalMask,
        LowerTriangularMask,
    )

    if form is Form.CAUSAL:
        return LowerTriangularMask()

    q_lens = [rows.stop - rows.start for rows, _ in mask.segments()]
    k_lens = [stop - start for _, ((start, stop),) in mask.segments()]
    if form is Form.TILED:
        return BlockDiagonalMask.from_seqlens(q_lens, k_lens, device=device)
    starts = [start for _, ((start, _),) in mask.segments()]
    return BlockDiagonalGappyKeysMask.from_seqlens(q_lens, [*starts, mask.kv_len], k_lens, device=device)
