"""Masks of neighbourhoods against every pair of tokens, looked at one by one."""

import math

import pytest
import torch
from torch.nn.attention.flex_attention import create_mask

from vartk_registry import MaskSpec, Unsupported
from vartk_registry.interfaces import Schedule
from vartk_registry.neighbourhoods import Neighbourhood

SCHEDULES = [Schedule.of((1, 2, 4, 7)), Schedule.of((1, (2, 3), (3, 3), (4, 6), (5, 9)))]


def by_hand(schedule, context, size):
    """Whether each token sees each: by the centres of their cells, in shares of the image."""
    tokens = [
        (step, row, column, h, w)
        for step, (h, w) in enumerate(schedule.shapes)
        for row in range(h)
        for column in range(w)
    ]

    def sees(query, key):
        step, i, j, h, w = query
        other, a, b, rows, columns = key
        if not step - (step if context is None else context) <= other <= step:
            return False
        centre = math.floor((i + 0.5) / h * rows + 1e-9), math.floor((j + 0.5) / w * columns + 1e-9)
        return max(abs(a - centre[0]), abs(b - centre[1])) <= size // 2

    return torch.tensor([[sees(query, key) for key in tokens] for query in tokens])


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("context", [0, 1, 2, None])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_every_pair_of_tokens(schedule, context, size):
    mask, expected = MaskSpec.scale_causal(schedule, context, size), by_hand(schedule, context, size)
    assert torch.equal(mask.dense(), expected)
    assert mask.pairs() == expected.sum()
    assert torch.equal(
        create_mask(mask.mask_mod(), None, None, *expected.shape, device="cpu")[0, 0], expected
    )
    for step, (start, stop) in enumerate(schedule.spans):
        first = 0 if context is None else schedule.spans[max(0, step - context)][0]
        of_step = MaskSpec.step(schedule, step, context, size)
        assert torch.equal(of_step.dense(), expected[start:stop, first:stop])
        assert of_step.pairs() == expected[start:stop].sum()


def test_a_corner_and_the_middle_of_a_map():
    mask = MaskSpec.step(Schedule.of((1, 2, 4)), 2, context=1, neighbourhood=3).dense()
    # of 2x2 and 4x4 keys: the corner sees all of the coarser map, which is in reach, and 2x2 of its own
    assert mask[0].nonzero().flatten().tolist() == [0, 1, 2, 3, 4 + 0, 4 + 1, 4 + 4, 4 + 5]
    assert mask[5][4:].sum() == 9


def test_a_neighbourhood_that_hides_nothing_is_left_out():
    schedule = Schedule.of((1, 2, 3))
    assert MaskSpec.scale_causal(schedule, 1, 5) == MaskSpec.scale_causal(schedule, 1)
    assert MaskSpec.step(schedule, 1, 1, 3).is_full
    assert not MaskSpec.step(schedule, 2, 1, 3).is_full


def test_what_has_no_segments_says_so():
    mask = MaskSpec.scale_causal(Schedule.of((1, 2, 4)), 1, 3)
    for use in (
        lambda: list(mask.segments()),
        lambda: mask.prefixed(1),
        lambda: MaskSpec.block_diagonal([mask]),
    ):
        with pytest.raises(Unsupported, match="take attention=eager, sdpa or flex"):
            use()


def test_maps_and_intervals_must_agree():
    with pytest.raises(ValueError, match="has no centre; take an odd number"):
        Neighbourhood(4, ((1, 1),), ((1, 1),))
    near = Neighbourhood(1, ((2, 2),), ((1, 1), (2, 2)))
    assert MaskSpec((4,), (((1, 5),),), 5, near).pairs() == 4
    with pytest.raises(ValueError, match="are not those between"):
        MaskSpec((4,), (((2, 5),),), 5, near)
    with pytest.raises(ValueError, match="are not those between"):
        MaskSpec((3,), (((0, 5),),), 5, near)
