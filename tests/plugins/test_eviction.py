"""What holds for every cache that evicts keys and values, by scales or by tokens."""

import pytest
import torch
from evicting import CACHES, attention, build, held_bytes, plan_of, run, scale

from vartk_registry.testing import check_cache

FIVE = plan_of([1, 2, (2, 3), 3, 4])


@pytest.fixture
def inputs():
    """Queries, keys and values by scale and layer."""
    torch.manual_seed(0)
    return [[scale(FIVE, step) for _ in range(FIVE.layers)] for step in range(5)]


@pytest.mark.parametrize("name", CACHES)
def test_each_keeps_the_contract(name):
    check_cache(build(name))


@pytest.mark.parametrize(("name", "params"), CACHES.items())
def test_a_budget_that_covers_everything_is_the_full_cache(name, params, inputs):
    cache, full = build(name, **params), build("full")
    for made, expected in zip(run(cache, FIVE, inputs), run(full, FIVE, inputs), strict=True):
        torch.testing.assert_close(made, expected, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "params"), CACHES.items())
def test_lossless_is_said_where_it_is_known_for_any_schedule(name, params):
    assert build(name, **params).lossless == (name != "ams_kv")
    assert not build(name).lossless


@pytest.mark.parametrize("name", CACHES)
def test_bytes_accounted_are_bytes_allocated(name):
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        plan = plan_of([1, 2, (2, 3), 3, 4], dtype=dtype)
        state = build(name).start(plan)
        for step in range(5):
            for layer in range(plan.layers):
                attention(state, plan, layer, step, *scale(plan, step))
                assert state.nbytes() == held_bytes(state)


@pytest.mark.parametrize("name", CACHES)
def test_narrow_frees_the_null_half_and_leaves_the_other_as_it_is(name, inputs):
    whole = run(build(name), FIVE, inputs)
    state = build(name).start(FIVE)
    for step in range(5):
        if step == 3:
            before = state.nbytes()
            state.narrow(2)
            assert state.nbytes() == before / 2 == held_bytes(state)
        for layer in range(FIVE.layers):
            batch = FIVE.batch if step < 3 else 2
            own = [x[:batch] for x in inputs[step][layer]]
            out = attention(state, FIVE, layer, step, *own)
            torch.testing.assert_close(out[:2], whole[step * FIVE.layers + layer][:2])


@pytest.mark.parametrize("name", CACHES)
def test_the_conditional_half_does_not_depend_on_what_the_null_half_holds(name, inputs):
    others = [[[torch.cat((x[:2], torch.randn_like(x[2:]))) for x in qkv] for qkv in of] for of in inputs]
    pairs = zip(run(build(name), FIVE, inputs), run(build(name), FIVE, others), strict=True)
    assert all(torch.equal(a[:2], b[:2]) for a, b in pairs)


@pytest.mark.parametrize("name", CACHES)
def test_batches_of_different_sizes_one_after_another_leave_no_trace(name, inputs):
    cache = build(name)
    first = run(cache, FIVE, inputs)
    small = plan_of([(1, 2), (3, 2), (5, 7)], batch=1)
    run(cache, small, [[scale(small, step) for _ in range(small.layers)] for step in range(3)])
    assert all(map(torch.equal, first, run(cache, FIVE, inputs)))


@pytest.mark.parametrize("name", CACHES)
def test_scales_of_which_tokens_were_pruned(name):
    state = build(name).start(FIVE)
    for step, size in enumerate((1, 4, 3, 5, 10)):  # of 1, 4, 6, 9, 16
        for layer in range(FIVE.layers):
            out = attention(state, FIVE, layer, step, *scale(FIVE, step, size))
            assert out.shape == (FIVE.batch, size, FIVE.heads, FIVE.head_dim)
            assert out.isfinite().all()
