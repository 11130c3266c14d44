"""flash-attn needs a GPU: here the translation of masks and the refusals; test_attention.py has the rest."""

from itertools import pairwise

import pytest
import torch

from vartk_plugins.flash_attention.backend import FlashAttention, Plan
from vartk_plugins.flash_attention.generations import GENERATIONS, refusals
from vartk_plugins.flash_attention.packing import attend_packed, cumulative, packed
from vartk_registry import MaskSpec
from vartk_registry.interfaces import AttentionRequest, Schedule
from vartk_registry.testing import dense_attend

SCHEDULE = Schedule.of([1, (2, 1), 3])
MASKS = {
    "full": MaskSpec.full(3, 8),
    "causal": MaskSpec.scale_causal(Schedule(((2, 3),), raster=True)),
    "full, of two segments": MaskSpec((2, 3), (((0, 6),), ((0, 6),)), 6),
    "scale-causal": MaskSpec.scale_causal(SCHEDULE),
    "prefixed": MaskSpec.scale_causal(SCHEDULE).prefixed(3),
    "gaps": MaskSpec((2, 3), (((0, 1), (3, 5)), ((1, 2), (4, 7))), 7),
    "two schedules": MaskSpec.block_diagonal(
        [MaskSpec.scale_causal(SCHEDULE), MaskSpec.scale_causal(Schedule.of([(1, 2), 3]))]
    ),
    "whole sequences": MaskSpec.block_diagonal([MaskSpec.full(2, 3), MaskSpec.full(4, 2)]),
    "a segment without queries": MaskSpec((2, 0, 1), (((0, 1),), ((0, 2),), ((1, 3),)), 3),
}
masks = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
FA4, FA3, FA2 = GENERATIONS


def request(mask=None, dtype="bfloat16", device="cuda", head_dim=64, **changes):
    mask = mask or MaskSpec.full(2, 3)
    return AttentionRequest(mask, heads=2, head_dim=head_dim, dtype=dtype, device=device, **changes)


def intervals(lens, batch=1):
    edges = cumulative(lens, batch).tolist()
    return list(pairwise(edges))


@masks
def test_the_sequences_expand_to_the_mask(mask):
    plan = packed(mask, "cpu")
    keys = torch.arange(mask.kv_len) if plan.keys is None else plan.keys
    seen = torch.zeros(mask.q_len, mask.kv_len, dtype=torch.bool)
    for rows, columns in zip(intervals(plan.q_lens), intervals(plan.k_lens), strict=True):
        seen[slice(*rows), keys[slice(*columns)]] = True
    assert torch.equal(seen, mask.dense())
    assert plan.max_q == max(stop - start for start, stop in intervals(plan.q_lens))
    assert plan.max_k == max(stop - start for start, stop in intervals(plan.k_lens))
    assert plan.q_lens.dtype == plan.k_lens.dtype == torch.int32


def test_scale_causal_by_hand():
    plan = packed(MaskSpec.scale_causal(Schedule.of([1, 2])), "cpu")
    assert cumulative(plan.q_lens, 1).tolist() == [0, 1, 5]
    assert cumulative(plan.k_lens, 1).tolist() == [0, 1, 6]
    assert plan.keys.tolist() == [0, 0, 1, 2, 3, 4]
    assert (plan.max_q, plan.max_k) == (4, 5)


def test_a_batch_is_more_sequences():
    plan = packed(MaskSpec.scale_causal(Schedule.of([1, 2])), "cpu")
    assert cumulative(plan.q_lens, 2).tolist() == [0, 1, 5, 6, 10]
    assert cumulative(plan.k_lens, 2).tolist() == [0, 1, 6, 7, 12]


def test_keys_are_copied_only_where_segments_share_them():
    assert packed(MASKS["whole sequences"], "cpu").keys is None
    of_256_pixels = Schedule.of([1, 2, 3, 4, 5, 6, 8, 10, 13, 16])
    assert of_256_pixels.total == 680
    assert len(packed(MaskSpec.scale_causal(of_256_pixels), "cpu").keys) == 1710  # as packing.py says


def one_by_one(q, k, v, *, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, scale=0.7):
    """Varlen attention by its definition: each sequence on its own."""
    outs = []
    q_edges, k_edges = cu_seqlens_q.tolist(), cu_seqlens_k.tolist()
    for i in range(len(q_edges) - 1):
        rows, columns = slice(*q_edges[i : i + 2]), slice(*k_edges[i : i + 2])
        assert rows.stop - rows.start <= max_seqlen_q
        assert columns.stop - columns.start <= max_seqlen_k
        scores = torch.einsum("shd,thd->hst", q[rows], k[columns]) * scale
        outs.append(torch.einsum("hst,thd->shd", scores.softmax(-1), v[columns]))
    return torch.cat(outs)


@masks
def test_the_sequences_give_attention_and_its_gradients(mask):
    generator = torch.Generator().manual_seed(0)
    lengths = mask.q_len, mask.kv_len, mask.kv_len
    buffers = [torch.randn(3, n + 2, 2, 4, generator=generator) for n in lengths]  # views, as a cache gives
    inputs = [b[:, :n].requires_grad_() for b, n in zip(buffers, lengths, strict=True)]
    weight = torch.randn(3, mask.q_len, 2, 4, generator=generator)
    results = []
    for attend in (
        lambda *x: dense_attend(*x, mask=mask, scale=0.7),
        lambda *x: attend_packed(one_by_one, *x, packed(mask, "cpu")),
    ):
        out = attend(*inputs)
        results.append([out, *torch.autograd.grad((out * weight).sum(), inputs)])
    for expected, actual in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def dense(q, k, v, scale, causal=False):
    full = MaskSpec.full(q.shape[1], k.shape[1])
    mask = MaskSpec.scale_causal(Schedule(((1, q.shape[1]),), raster=True)) if causal else full
    return dense_attend(q, k, v, mask=mask, scale=scale)


class Generation2:
    """The arguments of its functions in their order, on the CPU; dropout only makes the output smaller."""

    def flash_attn_func(q, k, v, dropout_p=0.0, softmax_scale=None, causal=False):
        return dense(q, k, v, softmax_scale, causal) * (1 - dropout_p)

    def flash_attn_varlen_func(
        q,
        k,
        v,
        cu_seqlens_q,
        cu_seqlens_k,
        max_seqlen_q,
        max_seqlen_k,
        dropout_p=0.0,
        softmax_scale=None,
        causal=False,
    ):
        assert cu_seqlens_q.dtype == cu_seqlens_k.dtype == torch.int32
        made = one_by_one(
            q,
            k,
            v,
            cu_seqlens_q=cu_seqlens_q,
            cu_seqlens_k=cu_seqlens_k,
            max_seqlen_q=max_seqlen_q,
            max_seqlen_k=max_seqlen_k,
            scale=softmax_scale,
        )
        return made * (1 - dropout_p)


class Generation3:
    """It takes no dropout."""

    def flash_attn_func(q, k, v, softmax_scale=None, causal=False):
        return Generation2.flash_attn_func(q, k, v, softmax_scale=softmax_scale, causal=causal)

    def flash_attn_varlen_func(
        q,
        k,
        v,
        cu_seqlens_q,
        cu_seqlens_k,
        max_seqlen_q,
        max_seqlen_k,
        seqused_q=None,
        seqused_k=None,
        softmax_scale=None,
        causal=False,
    ):
        lengths = cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k
        return Generation2.flash_attn_varlen_func(q, k, v, *lengths, softmax_scale=softmax_scale)


class Generation4:
    """It returns the logarithms of the sums as well, or None in their place."""

    def flash_attn_func(q, k, v, softmax_scale=None, causal=False):
        return Generation3.flash_attn_func(q, k, v, softmax_scale, causal), None

    def flash_attn_varlen_func(*inputs, page_table=None, **settings):
        return Generation3.flash_attn_varlen_func(*inputs, **settings), None


@masks
@pytest.mark.parametrize("kernels", [Generation2, Generation3, Generation4])
def test_it_calls_every_generation_rightly(kernels, mask):
    plan = Plan.of(kernels, mask, "cpu")
    generator = torch.Generator().manual_seed(0)
    lengths = mask.q_len, mask.kv_len, mask.kv_len
    q, k, v = (torch.randn(2, n, 2, 4, generator=generator) for n in lengths)
    out = FlashAttention()(q, k, v, scale=0.3, plan=plan, dropout=0.0)
    expected = dense_attend(q, k, v, mask=mask, scale=0.3)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    if kernels is Generation2:
        dropped = FlashAttention()(q, k, v, scale=0.3, plan=plan, dropout=0.5)
        torch.testing.assert_close(dropped, expected / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, []),
        ({"device": "cpu"}, ["it serves cuda, not cpu"]),
        ({"dtype": "float32"}, ["it takes float16 and bfloat16, not float32"]),
        ({"head_dim": 12}, ["head_dim 12 is not a multiple of 8"]),
        (
            {"device": "cpu", "dtype": "float32"},
            ["it serves cuda, not cpu", "it takes float16 and bfloat16, not float32"],
        ),
    ],
)
def test_what_no_generation_serves(changes, reasons):
    assert refusals(request(**changes)) == reasons


@pytest.mark.parametrize(
    ("generation", "capability", "changes", "reasons"),
    [
        (FA2, (8, 0), {"needs_grad": True, "dropout": 0.1, "head_dim": 256}, []),
        (FA2, (12, 0), {"needs_grad": True}, []),
        (FA2, (7, 5), {}, ["no kernels for compute capability 7.5"]),
        (FA2, (8, 0), {"head_dim": 264}, ["head_dim 264 is above 256"]),
        (
            FA2,
            (8, 9),
            {"needs_grad": True, "dropout": 0.1, "head_dim": 256},
            ["no backward pass of dropout with head_dim 256 on this GPU"],
        ),
        (FA3, (9, 0), {"needs_grad": True, "head_dim": 256}, []),
        (FA3, (9, 0), {"dropout": 0.1}, ["no dropout"]),
        (FA3, (8, 0), {}, ["no kernels for compute capability 8.0"]),
        (FA3, (10, 0), {}, ["no kernels for compute capability 10.0"]),
        (FA4, (10, 0), {"needs_grad": True, "head_dim": 128}, []),
        (FA4, (10, 0), {"head_dim": 136}, ["head_dim 136 is above 128"]),
        (FA4, (9, 0), {"head_dim": 256}, []),
        (FA4, (9, 0), {"needs_grad": True}, []),
        (FA4, (9, 0), {"needs_grad": True, "dropout": 0.1}, ["no dropout"]),
    ],
)
def test_what_a_generation_refuses(generation, capability, changes, reasons):
    assert generation.refusals(request(**changes), capability) == reasons


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so():
    backend = FlashAttention()
    assert backend.unavailable() == "torch sees no CUDA device"
    assert backend.unsupported(request(device="cpu")) == ["it serves cuda, not cpu"]
