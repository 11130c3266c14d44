"""`window` and `sink`, on scales that can be told apart: every key of scale i is i."""

import pytest
import torch
from evicting import build, by_scale, held_bytes, plan_of, scale

FIVE = plan_of([1, 2, (2, 3), 3, 4])


@pytest.mark.parametrize(
    ("name", "params", "seen"),
    [
        ("window", {"last": 0}, [[0], [1], [2], [3], [4]]),
        ("window", {"last": 1}, [[0], [0, 1], [1, 2], [2, 3], [3, 4]]),
        ("window", {"last": 2}, [[0], [0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]]),
        ("window", {"share": 0.3}, [[0], [0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]]),  # 1.5 of 5: 2
        ("sink", {"first": 1, "last": 1}, [[0], [0, 1], [0, 1, 2], [0, 2, 3], [0, 3, 4]]),
        ("sink", {"first": 2, "last": 0}, [[0], [0, 1], [0, 1, 2], [0, 1, 3], [0, 1, 4]]),
        ("sink", {"first": 2, "last": 2}, [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]]),
    ],
)
def test_which_scales_are_seen(name, params, seen):
    state = build(name, **params).start(FIVE)
    for step, expected in enumerate(seen):
        for layer in range(FIVE.layers):
            k, v = state.append(layer, step, *by_scale(FIVE, step))
            of_scales = [torch.full((size,), float(i)) for i, size in enumerate(FIVE.schedule.sizes)]
            expected_k = torch.cat([of_scales[i] for i in expected])
            assert torch.equal(k, expected_k[None, :, None, None].expand_as(k))
            assert torch.equal(v, -k)


def test_what_is_evicted_is_freed():
    state = build("sink", first=1, last=1).start(FIVE)
    token = 2 * FIVE.batch * FIVE.heads * FIVE.head_dim * 4  # k and v, fp32
    tokens = []
    for step in range(5):
        for layer in range(FIVE.layers):
            state.append(layer, step, *scale(FIVE, step))
        tokens.append(state.nbytes() / token / FIVE.layers)
        assert state.nbytes() == held_bytes(state)
    assert tokens == [1, 1 + 4, 1 + 6, 1 + 9, 0]  # the last scale's are not needed any more
