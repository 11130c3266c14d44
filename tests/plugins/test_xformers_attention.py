"""xFormers' kernels need a GPU: here the translation of masks; test_attention.py has the rest."""

import logging

import pytest
import torch

from vartk_plugins.xformers_attention.backend import Plan, XformersAttention, attend, choose
from vartk_plugins.xformers_attention.forms import Form, bias, forms
from vartk_registry import MaskSpec
from vartk_registry.interfaces import AttentionRequest, Schedule
from vartk_registry.testing import dense_attend

SCHEDULE = Schedule.of([1, (2, 1), 3])
TWO = [MaskSpec.scale_causal(SCHEDULE), MaskSpec.scale_causal(Schedule.of([(1, 2), 3]))]
WHOLE, CAUSAL, TILED, GAPPY, CALLS = Form
MASKS = {  # with the forms that express them, without gradients and with
    "full": (MaskSpec.full(3, 8), [WHOLE], [WHOLE]),
    "full, of two segments": (MaskSpec((2, 3), (((0, 6),), ((0, 6),)), 6), [WHOLE], [WHOLE]),
    "causal": (
        MaskSpec.scale_causal(Schedule(((2, 3),), raster=True)),
        [CAUSAL, GAPPY, CALLS],
        [CAUSAL, CALLS],
    ),
    "scale-causal": (TWO[0], [GAPPY, CALLS], [CALLS]),
    "prefixed": (TWO[0].prefixed(3), [GAPPY, CALLS], [CALLS]),
    "gaps": (MaskSpec((2, 3), (((0, 1), (3, 5)), ((1, 2), (4, 7))), 7), [CALLS], [CALLS]),
    "two schedules": (MaskSpec.block_diagonal(TWO), [GAPPY, CALLS], [CALLS]),
    "whole sequences": (
        MaskSpec.block_diagonal([MaskSpec.full(2, 3), MaskSpec.full(4, 2)]),
        [TILED, CALLS],
        [TILED, CALLS],
    ),
    "a window": (MaskSpec((2, 2, 1), (((0, 2),), ((1, 4),), ((2, 5),)), 5), [GAPPY, CALLS], [CALLS]),
    "keys that nobody sees": (MaskSpec((2, 1), (((0, 2),), ((3, 4),)), 5), [GAPPY, CALLS], [CALLS]),
    "a segment without queries": (
        MaskSpec((2, 0, 1), (((0, 1),), ((0, 2),), ((1, 3),)), 3),
        [TILED, CALLS],
        [TILED, CALLS],
    ),
}
EXPRESSED = [
    pytest.param(mask, form, id=f"{name}: {form.name}")
    for name, (mask, without, _) in MASKS.items()
    for form in without
]


@pytest.fixture(scope="module")
def fmha():
    logging.getLogger("xformers").setLevel(logging.ERROR)  # it warns that its own kernels cannot be loaded
    return pytest.importorskip("xformers.ops.fmha")


def request(mask, dtype="float16", device="cpu", **changes):
    return AttentionRequest(mask, heads=2, head_dim=8, dtype=dtype, device=device, **changes)


@pytest.mark.parametrize(("mask", "without", "with_gradients"), MASKS.values(), ids=MASKS)
def test_the_forms_of_a_mask(mask, without, with_gradients):
    assert list(forms(mask, needs_grad=False)) == without
    assert list(forms(mask, needs_grad=True)) == with_gradients


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("mask", "form"), [case for case in EXPRESSED if case.values[1] in (TILED, GAPPY)])
def test_a_bias_materialises_to_the_mask(fmha, mask, form, batch):
    side_by_side = MaskSpec.block_diagonal([mask] * batch)
    made = bias(side_by_side, form, torch.device("cpu"))
    kinds = {TILED: "BlockDiagonalMask", GAPPY: "BlockDiagonalGappyKeysMask"}
    assert type(made) is getattr(fmha.attn_bias, kinds[form])
    added = made.materialize((side_by_side.q_len, side_by_side.kv_len))
    assert torch.equal(added == 0, side_by_side.dense())
    assert torch.equal(added == -torch.inf, ~side_by_side.dense())


def kernel(q, k, v, bias):
    """What the kernels compute, by the definition."""
    scores = torch.einsum("bshd,bthd->bhst", q, k) * 0.7
    if bias is not None:
        # which its block-diagonal biases demand
        assert len(q) == 1 or type(bias).__name__ == "LowerTriangularMask"
        scores = scores + bias.materialize(scores.shape)
    return torch.einsum("bhst,bthd->bshd", scores.softmax(-1), v)


@pytest.mark.parametrize(("mask", "form"), EXPRESSED)
def test_each_form_gives_attention_and_its_gradients(fmha, mask, form):
    generator = torch.Generator().manual_seed(0)
    lengths = mask.q_len, mask.kv_len, mask.kv_len
    buffers = [torch.randn(3, n + 2, 2, 4, generator=generator) for n in lengths]  # views, as a cache gives
    inputs = [b[:, :n].requires_grad_() for b, n in zip(buffers, lengths, strict=True)]
    weight = torch.randn(3, mask.q_len, 2, 4, generator=generator)
    plan = Plan(mask, form, (None, None))
    results = []
    for computed in (
        lambda *x: dense_attend(*x, mask=mask, scale=0.7),
        lambda *x: attend(kernel, *x, plan),
        lambda *x: attend(kernel, *x, plan),  # again, with the bias that was kept
    ):
        out = computed(*inputs)
        results.append([out, *torch.autograd.grad((out * weight).sum(), inputs)])
    for expected, *actual in zip(*results, strict=True):
        for made in actual:
            torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5)


def test_a_plan_serves_batches_of_different_sizes(fmha):
    mask = TWO[0]
    plan = Plan(mask, GAPPY, (None, None))
    for batch in (2, 1, 2):
        q, k, v = torch.randn(3, batch, mask.q_len, 2, 4)
        expected = dense_attend(q, k, v, mask=mask, scale=0.7)
        torch.testing.assert_close(attend(kernel, q, k, v, plan), expected)


@pytest.mark.parametrize("needs_grad", [False, True])
def test_every_operator_says_why_it_cannot(fmha, needs_grad):
    """The package can be imported on a machine where none of its operators can run."""
    plan, reasons = choose(request(TWO[0], "float64", needs_grad=needs_grad))
    assert plan is None
    assert len(reasons) == 3
    for operator, reason in zip((fmha.flash3, fmha.flash, fmha.cutlass), reasons, strict=True):
        assert reason.startswith(f"{operator.FwOp.NAME}: ")
        assert "device=cpu" in reason
        assert "dtype=torch.float64" in reason


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so():
    backend = XformersAttention()
    assert backend.unavailable() == "torch sees no CUDA device"
    assert backend.unsupported(request(TWO[0])) == ["it serves cuda, not cpu"]
