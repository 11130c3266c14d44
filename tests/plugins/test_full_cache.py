import pytest
import torch

from vartk_registry import discover
from vartk_registry.interfaces import CachePlan, Schedule


@pytest.fixture
def state():
    plan = CachePlan(
        schedule=Schedule.of([1, 2, (2, 3)]),  # 1 + 4 + 6 tokens
        layers=2,
        batch=3,
        heads=2,
        head_dim=4,
        scale=1.0,
        dtype=torch.bfloat16,
        device=torch.device("cpu"),
    )
    cache = discover(["vartk_plugins.full_cache"]).registry.build("cache", "full", {})
    assert cache.lossless
    return cache.start(plan)


def scale(tokens, batch=3):
    return [torch.randn(batch, tokens, 2, 4).bfloat16() for _ in "kv"]


def test_each_layer_sees_all_of_its_scales_in_order(state):
    scales = {layer: [scale(n) for n in (1, 4, 6)] for layer in (0, 1)}
    for step in range(3):
        for layer in (0, 1):
            k, v = state.append(layer, step, None, *scales[layer][step])
            past = scales[layer][: step + 1]
            assert torch.equal(k, torch.cat([k for k, _ in past], dim=1))
            assert torch.equal(v, torch.cat([v for _, v in past], dim=1))


def test_memory_is_allocated_once(state):
    # 2 tensors x 2 layers x 3 samples x 11 tokens x 2 heads x 4 dims x 2 bytes
    assert state.nbytes() == 2 * 2 * 3 * 11 * 2 * 4 * 2
    first_k, first_v = state.append(0, 0, None, *scale(1))
    k, v = state.append(0, 1, None, *scale(4))
    assert (k.data_ptr(), v.data_ptr()) == (first_k.data_ptr(), first_v.data_ptr())
    assert state.nbytes() == 2 * 2 * 3 * 11 * 2 * 4 * 2


def test_narrow_keeps_the_first_samples_in_place(state):
    before, _ = state.append(0, 0, None, *(first := scale(1)))
    allocated = state.nbytes()
    state.narrow(2)
    k, v = state.append(0, 1, None, *(second := scale(4, batch=2)))
    assert torch.equal(k, torch.cat((first[0][:2], second[0]), dim=1))
    assert torch.equal(v, torch.cat((first[1][:2], second[1]), dim=1))
    assert k.data_ptr() == before.data_ptr()
    assert state.nbytes() == allocated


def test_all_tokens_are_computed(state):
    x = torch.randn(3, 4, 8)
    assert state.select(0, "ffn", 1, x) is None
    assert state.restore(0, "ffn", 1, x, None) is x
