import pytest
import torch

from vartk_registry import MaskSpec, discover
from vartk_registry.interfaces import AttentionRequest, Schedule
from vartk_registry.testing import dense_attend

MASKS = {
    "full": MaskSpec.full(3, 8),
    "scale-causal": MaskSpec.scale_causal(Schedule.of([1, (1, 3), (3, 2)])),
    "prefixed": MaskSpec.scale_causal(Schedule.of([1, 2])).prefixed(3),
    "gaps": MaskSpec((2, 3), (((0, 1), (3, 5)), ((1, 2), (4, 7))), 7),
    "longer than a block": MaskSpec.scale_causal(Schedule.of([1, 6, 12])),
    "two schedules": MaskSpec.block_diagonal(
        [MaskSpec.scale_causal(Schedule.of([1, 12])), MaskSpec.scale_causal(Schedule.of([2, (3, 1)]))]
    ),
}


@pytest.fixture(scope="module")
def flex():
    return discover(["vartk_plugins.attention"]).registry.build("attention", "flex", {})


def request(mask, dtype="float32", device="cpu", head_dim=8, **changes):
    return AttentionRequest(mask, heads=2, head_dim=head_dim, dtype=dtype, device=device, **changes)


def qkv(mask, dtype=torch.float32, head_dim=8):
    generator = torch.Generator().manual_seed(0)
    lengths = mask.q_len, mask.kv_len, mask.kv_len
    return [torch.randn(2, n, 2, head_dim, generator=generator).to(dtype) for n in lengths]


@pytest.mark.parametrize("head_dim", [1, 7])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_on_a_cpu_it_is_the_definition(flex, mask, head_dim):
    wanted = request(mask, "float64", head_dim=head_dim)
    assert flex.unavailable() == ""
    assert flex.unsupported(wanted) == []
    q, k, v = qkv(mask, torch.float64, head_dim)
    out = flex(q, k, v, scale=0.7, plan=flex.prepare(wanted), dropout=0.0)
    torch.testing.assert_close(out, dense_attend(q, k, v, mask=mask, scale=0.7), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_its_block_mask_is_the_mask(flex, mask):
    plan = flex.prepare(request(mask))
    if mask.is_full:
        assert plan is None
    else:
        q, kv = torch.meshgrid(torch.arange(mask.q_len), torch.arange(mask.kv_len), indexing="ij")
        assert torch.equal(plan.mask_mod(0, 0, q, kv), mask.dense())
        blocks = plan.to_dense()[0, 0].bool()
        seen = (
            torch.nn.functional.pad(mask.dense(), (0, -mask.kv_len % 128, 0, -mask.q_len % 128))
            .unflatten(0, (-1, 128))
            .unflatten(-1, (-1, 128))
        )
        assert torch.equal(blocks, seen.any(1).any(-1))


def test_more_shapes_than_torch_would_compile_for(flex):
    for length in range(2, 14):
        mask = MaskSpec((1, length), (((0, 1),), ((0, length),)), length)
        q, k, v = qkv(mask)
        out = flex(q, k, v, scale=1.0, plan=flex.prepare(request(mask)), dropout=0.0)
        torch.testing.assert_close(out, dense_attend(q, k, v, mask=mask, scale=1.0), rtol=1e-5, atol=1e-6)


def test_weights_that_could_have_gradients_do_not_disturb_it(flex):
    mask = MASKS["scale-causal"]
    q, k, v = (x.requires_grad_() for x in qkv(mask))
    with torch.no_grad():
        out = flex(q, k, v, scale=1.0, plan=flex.prepare(request(mask)), dropout=0.0)
    assert not out.requires_grad


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"needs_grad": True}, "it has no backward pass on a CPU"),
        ({"dropout": 0.1}, "it has no dropout"),
        ({"device": "mps"}, "it serves cuda and cpu, not mps"),
        ({"dtype": "int8"}, "it takes float16, bfloat16, float32, float64, not int8"),
        ({"device": "cuda", "dtype": "float64"}, "it takes float16, bfloat16, float32, not float64"),
        ({"device": "cuda", "head_dim": 8}, "head_dim 8 is below 16"),
    ],
)
def test_what_it_refuses(flex, changes, reason):
    assert reason in flex.unsupported(request(MASKS["full"], **changes))


def test_compiled_with_the_model_it_is_the_same(flex):
    """By Dynamo alone: the C++ compiler of Inductor may not be there."""
    mask = MASKS["scale-causal"]
    q, k, v = qkv(mask)
    settings = {"scale": 0.7, "plan": flex.prepare(request(mask)), "dropout": 0.0}
    compiled = torch.compile(lambda *inputs: flex(*inputs, **settings), backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(q, k, v), flex(q, k, v, **settings))
