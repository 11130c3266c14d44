"""The `var` transformer with a bounded context: each scale sees itself and a few scales before it."""

import evicting
import golden
import pytest
import torch
from tiny import tiny_model
from tiny_transformer import attend, batch, inputs_of_step, stepwise, tiny

from vartk.components import plugins
from vartk.config import Slot
from vartk.engine.attention import build_attention
from vartk.engine.cache import build_cache
from vartk_plugins.flash_attention.packing import packed
from vartk_plugins.xformers_attention.forms import Form, forms
from vartk_registry import MaskSpec, Unsupported
from vartk_registry.interfaces import Schedule

REGISTRY = plugins().registry
SCHEDULE = Schedule.of([1, 2, (2, 3), 3])


def cache_of(*parts):
    """Return a cache strategy, or a chain of them, each a name or a mapping."""
    parts = [{"name": part} if isinstance(part, str) else part for part in parts]
    if len(parts) > 1:
        return build_cache(Slot(name="chain", params={"parts": parts}), REGISTRY)
    (params,) = parts
    return REGISTRY.build("cache", params["name"], {k: v for k, v in params.items() if k != "name"})


@pytest.mark.parametrize("context", [0, 1, 2])
def test_a_token_sees_its_own_scale_and_those_just_before_it(context):
    levels = torch.tensor(SCHEDULE.levels)
    before = levels[:, None] - levels
    expected = (before >= 0) & (before <= context)
    assert torch.equal(MaskSpec.scale_causal(SCHEDULE, context).dense(), expected)


def test_a_context_of_all_scales_is_no_bound():
    assert MaskSpec.scale_causal(SCHEDULE, 3) == MaskSpec.scale_causal(SCHEDULE)
    inputs, condition = batch(SCHEDULE)
    bounded = tiny(SCHEDULE, context=3)(inputs, condition, SCHEDULE, attend)
    assert torch.equal(bounded, tiny(SCHEDULE)(inputs, condition, SCHEDULE, attend))


@pytest.mark.parametrize(("context", "seen"), [(0, [3]), (1, [2, 3]), (None, [1, 2, 3])])
def test_what_a_scale_depends_on(context, seen):
    """One block sees no further than its mask; the first scale has no inputs."""
    model = tiny(SCHEDULE, depth=1, context=context)
    inputs, condition = batch(SCHEDULE)
    inputs.requires_grad_()
    logits = model(inputs, condition, SCHEDULE, attend)
    (gradient,) = torch.autograd.grad(logits[:, -1].square().sum(), inputs)
    moved = gradient.abs().amax(dim=(0, 2)).split(SCHEDULE.sizes[1:])
    assert [step for step, of_scale in enumerate(moved, 1) if of_scale.all()] == seen
    assert [step for step, of_scale in enumerate(moved, 1) if of_scale.any()] == seen


SCHEDULES = [SCHEDULE, Schedule.of([1] * 6), Schedule.of([1, 2, 4, (4, 6)])]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("params", [{"context": 0}, {"context": 1}, {"context": 2, "patch": 2}], ids=str)
def test_cached_steps_equal_the_teacher_forced_pass(schedule, params):
    model = tiny(schedule, **params)
    inputs, condition = batch(schedule)
    with torch.no_grad():
        expected = model(inputs, condition, schedule, attend)
    steps = stepwise(model, inputs, condition, schedule)
    golden.assert_close(torch.cat(steps, dim=1), expected, 1e-5)
    unbounded = tiny(schedule, **{**params, "context": None})
    assert not torch.allclose(unbounded(inputs, condition, schedule, attend), expected, atol=1e-3)


@pytest.mark.parametrize("context", [0, 1, 2])
def test_scales_out_of_sight_are_freed(context):
    model = tiny(SCHEDULE, context=context)
    inputs, condition = batch(SCHEDULE, size=4)
    session = model.begin(condition, SCHEDULE, evicting.build("full"), attend)
    token = 2 * 2 * 32 * 4  # k and v, 2 layers, 32 channels, fp32
    held, samples = [], 4
    with torch.no_grad():
        expected = model(inputs, condition, SCHEDULE, attend)
        for step, (start, stop) in enumerate(SCHEDULE.spans):
            x = inputs_of_step(inputs, SCHEDULE, step)
            logits = session.step(None if x is None else x[:samples])
            golden.assert_close(logits, expected[:samples, start:stop], 1e-5)
            assert session.cache.nbytes() == evicting.held_bytes(session.cache)
            if step == 1:
                held.append(session.cache.nbytes() / token / samples)
                samples = 2
                session.narrow(samples)
            held.append(session.cache.nbytes() / token / samples)
            assert session.cache.nbytes() == evicting.held_bytes(session.cache)
    # of the scales' 1, 4, 6 and 9 tokens; once before it is narrowed and once after; nothing at the end
    assert held == {0: [0, 0, 0, 0, 0], 1: [1, 4, 4, 6, 0], 2: [1, 5, 5, 10, 0]}[context]


@pytest.mark.parametrize("params", [{}, {"dense": True}], ids=str)
@pytest.mark.parametrize("context", [0, 1])
def test_a_call_a_scale_has_the_gradients_of_the_dense_mask(params, context):
    inputs, condition = batch(SCHEDULE)
    gradients = []
    for backend in (attend, build_attention(Slot(name="sdpa", params={"dense": False, **params}), REGISTRY)):
        model = tiny(SCHEDULE, context=context, drop_path=0.0).train()
        logits = model(inputs, condition, SCHEDULE, backend)
        logits.square().mean().backward()
        gradients.append([logits, *(parameter.grad for parameter in model.parameters())])
    for mine, expected in zip(*gradients, strict=True):
        golden.assert_close(mine, expected, 1e-5)


def test_without_context_kernels_take_the_mask_in_one_launch():
    mask = MaskSpec.scale_causal(SCHEDULE, 0)
    assert next(forms(mask, needs_grad=True)) is Form.TILED
    assert packed(mask, "cpu").keys is None  # none is copied


def test_a_model_of_bounded_context_samples_what_it_predicts():
    model = tiny_model(**{"transformer.context": 0})
    codes = model.sample([0, 1, 2], sampler="greedy", guidance=0.0).codes
    assert torch.equal(torch.cat(codes, dim=1), model.logits([0, 1, 2], codes).argmax(dim=-1))
    with pytest.raises(Unsupported, match="has context=0"):
        model.sample([0], cache="window")


LOSSLESS = [
    *([{"name": name, **params}] for name, params in evicting.CACHES.items() if name != "ams_kv"),
    [{"name": "fastvar", "ratios": [0.0]}],
    ["full", {"name": "skip_last", "scales": 0}],
]


@pytest.mark.parametrize("parts", LOSSLESS, ids=str)
def test_caches_that_leave_all_as_it_is_change_nothing(parts):
    model = tiny(SCHEDULE, context=1)
    inputs, condition = batch(SCHEDULE)
    steps = stepwise(model, inputs, condition, SCHEDULE, cache_of(*parts))
    expected = stepwise(model, inputs, condition, SCHEDULE)
    assert all(torch.equal(a, b) for a, b in zip(steps, expected, strict=True))


PRUNING = [
    [{"name": "fastvar", "ratios": [0.5], "first": 0, "last": 1}],
    [{"name": "tome", "ratios": [0.5], "first": 0, "last": 1}],
    [{"name": "fastvar", "ratios": [0.5], "first": 0, "last": 1}, {"name": "skip_last", "scales": 0}],
]


@pytest.mark.parametrize("parts", PRUNING, ids=str)
def test_tokens_are_pruned_within_a_bounded_context(parts):
    """A context of all scales is the pruning of the usual model; a smaller one sees less."""
    inputs, condition = batch(SCHEDULE)

    def last(context):
        return stepwise(tiny(SCHEDULE, context=context), inputs, condition, SCHEDULE, cache_of(*parts))[-1]

    golden.assert_close(last(3), last(None), 1e-6)
    assert not torch.allclose(last(1), last(3), atol=1e-3)
    assert not torch.allclose(last(1), stepwise(tiny(SCHEDULE, context=1), inputs, condition, SCHEDULE)[-1])


def test_bytes_with_pruned_tokens_are_those_allocated():
    cache = cache_of({"name": "fastvar", "ratios": [0.5, 0.5], "first": 0, "last": 1})
    inputs, condition = batch(SCHEDULE, size=4)
    session = tiny(SCHEDULE, context=1).begin(condition, SCHEDULE, cache, attend)
    stored = 2 * 2 * 4 * 4 * 32 * 4  # 2 layers, 2 sub-layers, 4 samples, 4 tokens, 32 channels, fp32
    token = 2 * 2 * 4 * 32 * 4
    held = []
    with torch.no_grad():
        for step in range(4):
            session.step(inputs_of_step(inputs, SCHEDULE, step))
            held.append(session.cache.nbytes())
            assert held[-1] == evicting.held_bytes(session.cache)
    assert held == [token, 4 * token + stored, 3 * token + stored, 0]


@pytest.mark.parametrize(
    "parts",
    [["window"], ["sink"], ["ams_kv"], ["h2o"], ["scale_kv"], ["hack"], ["sink", "fastvar"]],
    ids=str,
)
def test_a_cache_that_decides_about_keys_is_refused(parts):
    _, condition = batch(SCHEDULE)
    model = tiny(SCHEDULE, context=1)
    with pytest.raises(Unsupported, match=r"has context=1: the model itself decides .* take cache=full, or"):
        model.begin(condition, SCHEDULE, cache_of(*parts), attend)


def test_calibration_is_refused():
    _, condition = batch(SCHEDULE)
    recorder = evicting.build("ams_kv").calibration()
    with pytest.raises(Unsupported, match="the model itself decides"):
        tiny(SCHEDULE, context=1).begin(condition, SCHEDULE, recorder, attend)
