import math

import pytest
import torch
from torch.overrides import TorchFunctionMode

from vartk_registry import MaskSpec, MissingRequirement, Unsupported, discover
from vartk_registry.interfaces import AttentionRequest, Schedule
from vartk_registry.testing import TOLERANCES, check_attention

MASKS = {
    "full": MaskSpec.full(3, 8),
    "full, of two segments": MaskSpec((2, 3), (((0, 6),), ((0, 6),)), 6),
    "causal": MaskSpec.scale_causal(Schedule(((2, 3),), raster=True)),
    "scale-causal": MaskSpec.scale_causal(Schedule.of([1, 2, 3])),
    "scale-causal, not square": MaskSpec.scale_causal(Schedule.of([1, (1, 3), (3, 2)])),
    "prefixed": MaskSpec.scale_causal(Schedule.of([1, 2])).prefixed(3),
    "gaps": MaskSpec((2, 3), (((0, 1), (3, 5)), ((1, 2), (4, 7))), 7),
    "gaps, prefixed": MaskSpec((2, 3), (((1, 2), (3, 5)), ((0, 2), (4, 7))), 7).prefixed(2),
    "two schedules": MaskSpec.block_diagonal(
        [MaskSpec.scale_causal(Schedule.of([1, 2])), MaskSpec.scale_causal(Schedule.of([(1, 2), 3]))]
    ),
}
masks = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
backends = pytest.mark.parametrize("name", ["eager", "sdpa"])


@pytest.fixture(scope="module")
def registry():
    return discover(["vartk_plugins.attention"]).registry


def attention(backend, q, k, v, *, mask, scale, dropout=0.0):
    request = AttentionRequest(
        mask,
        heads=q.shape[2],
        head_dim=q.shape[3],
        dtype=str(q.dtype).removeprefix("torch."),
        device="cpu",
        needs_grad=q.requires_grad,
        dropout=dropout,
    )
    assert backend.unsupported(request) == []
    return backend(q, k, v, scale=scale, plan=backend.prepare(request), dropout=dropout)


@backends
def test_they_run_on_every_machine(registry, name):
    assert registry.build("attention", name, {}).unavailable() == ""


def tensors(mask, batch=2, heads=2, head_dim=4, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = mask.q_len, mask.kv_len, mask.kv_len
    return [torch.randn(batch, n, heads, head_dim, generator=generator).to(dtype) for n in lengths]


def by_hand(q, k, v, mask, scale):
    """Attention by the definition, in Python floats."""
    seen = [
        [key for start, stop in spans for key in range(start, stop)]
        for length, spans in zip(mask.q_lens, mask.kv_spans, strict=True)
        for _ in range(length)
    ]
    out = torch.zeros(q.shape)
    q, k, v = q.tolist(), k.tolist(), v.tolist()
    batch, rows, heads, dim = out.shape
    for b in range(batch):
        for i in range(rows):
            for h in range(heads):
                weight = {
                    j: math.exp(scale * sum(x * y for x, y in zip(q[b][i][h], k[b][j][h], strict=True)))
                    for j in seen[i]
                }
                for d in range(dim):
                    mix = sum(w * v[b][j][h][d] for j, w in weight.items())
                    out[b, i, h, d] = mix / sum(weight.values())
    return out


@masks
@backends
def test_it_is_the_definition(registry, name, mask):
    q, k, v = tensors(mask)
    out = attention(registry.build("attention", name, {}), q, k, v, mask=mask, scale=0.7)
    torch.testing.assert_close(out, by_hand(q, k, v, mask, 0.7), rtol=1e-5, atol=1e-6)


@masks
@pytest.mark.parametrize("head_dim", [1, 7, 64])
@pytest.mark.parametrize("dense", [False, True], ids=["a call a segment", "dense"])
def test_sdpa_equals_eager_with_gradients(registry, mask, head_dim, dense):
    results = []
    for name, params in (("eager", {}), ("sdpa", {"dense": dense})):
        inputs = [x.requires_grad_() for x in tensors(mask, head_dim=head_dim, dtype=torch.float64)]
        out = attention(registry.build("attention", name, params), *inputs, mask=mask, scale=0.25)
        weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
        results.append([out, *torch.autograd.grad((out * weight).sum(), inputs)])
    for expected, actual in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("dense", "device", "calls"),
    [
        ("auto", "cpu", 3),
        pytest.param("auto", "cuda", 1, marks=pytest.mark.gpu),
        (True, "cpu", 1),
        (False, "cuda", 3),
    ],
)
def test_sdpa_makes_one_call_where_launches_are_expensive(registry, dense, device, calls):
    request = AttentionRequest(MASKS["scale-causal"], heads=2, head_dim=4, dtype="float32", device=device)
    assert len(registry.build("attention", "sdpa", {"dense": dense}).prepare(request)) == calls


@backends
def test_bfloat16_stays_bfloat16(registry, name):
    mask = MASKS["scale-causal"]
    q, k, v = tensors(mask, dtype=torch.bfloat16)
    out = attention(registry.build("attention", name, {}), q, k, v, mask=mask, scale=0.5)
    assert out.dtype == torch.bfloat16
    exact = by_hand(q.float(), k.float(), v.float(), mask, 0.5)
    torch.testing.assert_close(out.float(), exact, rtol=2e-2, atol=2e-2)


def test_eager_ignores_autocast(registry):
    mask = MASKS["gaps"]
    q, k, v = tensors(mask)
    eager = registry.build("attention", "eager", {})
    expected = attention(eager, q, k, v, mask=mask, scale=1.0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(attention(eager, q, k, v, mask=mask, scale=1.0), expected, rtol=0, atol=0)


@backends
def test_dropout_drops_weights_and_keeps_their_mean(registry, name):
    mask = MaskSpec.full(1, 50)
    q, k, v = tensors(mask, batch=200)
    torch.manual_seed(0)
    backend = registry.build("attention", name, {})
    out = attention(backend, q, k, torch.ones_like(v), mask=mask, scale=0.0, dropout=0.5)
    assert out.std() > 0.05
    assert out.mean().item() == pytest.approx(1, abs=0.03)


class SdpaCalls(TorchFunctionMode):
    """Records the lengths of each call of torch's fused attention, and that it has no mask."""

    def __init__(self):
        super().__init__()
        self.lengths = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.nn.functional.scaled_dot_product_attention:
            assert kwargs.get("attn_mask") is None
            self.lengths.append((args[0].shape[-2], args[1].shape[-2]))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("mask", "lengths"),
    [
        ("causal", [(6, 6)]),
        ("scale-causal", [(1, 1), (4, 5), (9, 14)]),
        ("gaps", [(2, 3), (3, 4)]),
        ("full, of two segments", [(5, 6)]),
        ("two schedules", [(1, 1), (4, 5), (2, 2), (9, 11)]),
    ],
)
def test_sdpa_computes_only_what_is_seen(registry, mask, lengths):
    q, k, v = tensors(MASKS[mask])
    sdpa = registry.build("attention", "sdpa", {})
    with SdpaCalls() as calls:
        attention(sdpa, q, k, v, mask=MASKS[mask], scale=1.0)
    assert calls.lengths == lengths


def test_a_coarse_backend_states_its_own_tolerances(registry):
    class Coarse(type(registry.build("attention", "eager", {}))):
        def __call__(self, *inputs, **settings):
            return 1.02 * super().__call__(*inputs, **settings)

    with pytest.raises(AssertionError, match="must equal"):
        check_attention(Coarse())
    check_attention(Coarse(), tolerances={"float32": 0.05, "float16": 0.05})


@masks
def test_matmul_equals_eager_in_bfloat16(registry, mask):
    request = AttentionRequest(
        mask, heads=2, head_dim=4, dtype="bfloat16", device="cpu", needs_grad=True, dropout=0.0
    )
    backends = [registry.build("attention", name, {}) for name in ("matmul", "eager")]
    assert backends[0].unsupported(request) == []
    made, expected = (with_gradients(backend, request, torch.bfloat16) for backend in backends)
    for actual, wanted in zip(made, expected, strict=True):
        assert actual.dtype == torch.bfloat16
        allowed = TOLERANCES["bfloat16"] * max(1.0, wanted.abs().max().item())
        assert (actual - wanted).abs().max().item() <= allowed


class Largest(TorchFunctionMode):
    """Remembers the most numbers that a product or a softmax returned."""

    numbers = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **kwargs or {})
        if getattr(func, "__name__", "") in ("matmul", "__matmul__", "softmax"):
            self.numbers = max(self.numbers, out.numel())
        return out


LARGE = {
    "a large scale": MaskSpec.full(1024, 1400),
    "neighbourhoods": MaskSpec.scale_causal(Schedule.of([1, 2, 4, 8, 16, 32]), context=1, neighbourhood=3),
}


@pytest.mark.parametrize("mask", (MASKS | LARGE).values(), ids=MASKS | LARGE)
def test_matmul_without_gradients_never_holds_all_scores_of_a_large_scale(registry, mask, one_thread):
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, n, 2, 4).bfloat16() for n in (mask.q_len, mask.kv_len, mask.kv_len))
    made, expected = (registry.build("attention", name, {}) for name in ("matmul", "eager"))
    with torch.no_grad(), Largest() as largest:
        out = attention(made, q, k, v, mask=mask, scale=0.5)
    wanted = attention(expected, q, k, v, mask=mask, scale=0.5)
    assert out.shape == wanted.shape
    assert (out - wanted).abs().max().item() <= TOLERANCES["bfloat16"] * wanted.abs().max().item()
    assert 0 < largest.numbers <= 2**20


def test_matmul_refuses_what_others_do_better(registry):
    request = AttentionRequest(MASKS["full"], heads=2, head_dim=4, dtype="float32", device="cuda")
    assert registry.build("attention", "matmul", {}).unsupported(request) == [
        "it serves cpu, not cuda",
        "it takes bfloat16, not float32",
    ]


# on a GPU: every registered backend against the oracle

COMPILING = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
"""torch's compiler looks at the gradients of what it traces, and warns of it."""

GPU_MASKS = MASKS | {
    "256 pixels": MaskSpec.scale_causal(Schedule.of([1, 2, 3, 4, 5, 6, 8, 10, 13, 16])),
    "256 pixels, the last step": MaskSpec.full(256, 680),
    "a batch of two schedules": MaskSpec.block_diagonal(
        [MaskSpec.scale_causal(Schedule.of([1, 4, 8, 12])), MaskSpec.scale_causal(Schedule.of([1, (6, 9)]))]
    ),
    "whole sequences side by side": MaskSpec.block_diagonal([MaskSpec.full(70, 130), MaskSpec.full(9, 33)]),
}


@pytest.fixture(scope="module")
def every_backend():
    modules = ("attention", "xformers_attention", "flash_attention")
    return discover([f"vartk_plugins.{module}" for module in modules]).registry


def with_gradients(backend, request, dtype):
    """Return the output, and where the request says so the gradients of q, k and v."""
    drawn = tensors(request.mask, batch=3, heads=request.heads, head_dim=request.head_dim)
    q, k, v = (x.to(request.device, dtype).requires_grad_(request.needs_grad) for x in drawn)
    out = backend(q, k, v, scale=0.2, plan=backend.prepare(request), dropout=0.0)
    if not request.needs_grad:
        return [out]
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out)
    return [out, *torch.autograd.grad((out * weight).sum(), (q, k, v))]


@pytest.mark.gpu
@COMPILING
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", ["sdpa", "flex", "xformers", "flash"])
def test_on_cuda_it_equals_eager(every_backend, name, dtype, backward):
    try:
        backend = every_backend.build("attention", name, {})
    except MissingRequirement as error:
        pytest.skip(str(error))
    eager = every_backend.build("attention", "eager", {})
    served, reasons = 0, [backend.unavailable()]
    for where, mask in GPU_MASKS.items():
        request = AttentionRequest(
            mask, heads=4, head_dim=64, dtype=dtype, device="cuda", needs_grad=backward
        )
        if backend.unavailable() or (reasons := backend.unsupported(request)):
            continue
        served += 1
        made, expected = (with_gradients(b, request, getattr(torch, dtype)) for b in (backend, eager))
        for actual, wanted in zip(made, expected, strict=True):
            assert actual.dtype == wanted.dtype
            allowed = TOLERANCES[dtype] * max(1.0, wanted.abs().max().item())
            assert (actual - wanted).abs().max().item() <= allowed, where
    if not served:
        pytest.skip("; ".join(reasons))


@pytest.mark.gpu
@COMPILING
@pytest.mark.parametrize("name", ["eager", "sdpa", "flex", "xformers", "flash"])
def test_on_cuda_it_keeps_the_contract(every_backend, name):
    try:
        check_attention(every_backend.build("attention", name, {}), "cuda")
    except (MissingRequirement, Unsupported) as error:
        pytest.skip(str(error))
