import pytest
import torch
from torch.nn.attention.flex_attention import create_mask

from vartk_registry import MaskSpec
from vartk_registry.interfaces import Schedule

SCHEDULE = Schedule.of((1, 2))  # 1 and 4 tokens
GAPS = MaskSpec((1, 2), (((0, 1), (3, 5)), ((2, 4),)), 5)
GAPS_DENSE = [[1, 0, 0, 1, 1], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0]]


def dense(mask):
    return mask.dense().int().tolist()


def test_full_shows_every_key_to_every_query():
    mask = MaskSpec.full(2, 3)
    assert dense(mask) == [[1, 1, 1], [1, 1, 1]]
    assert mask.is_full
    assert (mask.q_len, mask.kv_len) == (2, 3)


def test_scale_causal_shows_the_own_scale_and_the_coarser_ones():
    mask = MaskSpec.scale_causal(SCHEDULE)
    assert dense(mask) == [[1, 0, 0, 0, 0]] + [[1, 1, 1, 1, 1]] * 4
    assert not mask.is_full
    assert MaskSpec.scale_causal(Schedule.of((3,))).is_full


def test_scale_causal_compares_the_levels_of_tokens():
    schedule = Schedule.of((1, 2, (2, 3), 3))
    levels = torch.tensor(schedule.levels)
    assert torch.equal(MaskSpec.scale_causal(schedule).dense(), levels[:, None] >= levels)


def test_raster_order_is_causal():
    mask = MaskSpec.scale_causal(Schedule(((1, 3),), raster=True))
    assert dense(mask) == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert mask.is_causal


@pytest.mark.parametrize(
    "mask",
    [
        MaskSpec.scale_causal(SCHEDULE),
        MaskSpec.scale_causal(Schedule(((1, 3),), raster=True), context=1),
        MaskSpec.scale_causal(Schedule(((1, 3),), raster=True)).prefixed(1),
        MaskSpec.full(3, 3),
    ],
)
def test_other_masks_are_not_causal(mask):
    assert not mask.is_causal


def test_step_is_the_rows_of_scale_causal_that_belong_to_a_scale():
    schedule = Schedule.of((1, 2, 3))
    whole = MaskSpec.scale_causal(schedule).dense()
    for step, (start, stop) in enumerate(schedule.spans):
        mask = MaskSpec.step(schedule, step)
        assert mask.is_full
        assert torch.equal(mask.dense(), whole[start:stop, :stop])
        assert not whole[start:stop, stop:].any()


def test_spans_may_leave_gaps():
    assert dense(GAPS) == GAPS_DENSE


def test_segments_pair_rows_with_spans():
    assert list(GAPS.segments()) == [
        (slice(0, 1), ((0, 1), (3, 5))),
        (slice(1, 3), ((2, 4),)),
    ]


def test_pairs_count_what_is_seen():
    assert GAPS.pairs() == sum(map(sum, GAPS_DENSE)) == 7
    mask = MaskSpec.scale_causal(Schedule.of((1, 2, 3, 4)))
    assert mask.pairs() == mask.dense().sum()


def test_a_prefix_is_seen_by_every_query():
    mask = GAPS.prefixed(2)
    assert mask.kv_len == 7
    assert torch.equal(mask.dense(), torch.cat([torch.ones(3, 2).bool(), GAPS.dense()], dim=1))


def test_a_prefix_joins_the_span_it_touches():
    assert GAPS.prefixed(2).kv_spans == (((0, 3), (5, 7)), ((0, 2), (4, 6)))
    assert MaskSpec.full(2, 3).prefixed(4) == MaskSpec.full(2, 7)
    assert MaskSpec.full(2, 3).prefixed(4).is_full


def test_no_prefix_is_no_change():
    assert GAPS.prefixed(0) == GAPS


def test_block_diagonal_puts_masks_of_different_schedules_side_by_side():
    masks = [MaskSpec.scale_causal(SCHEDULE), MaskSpec.full(2, 1), GAPS]
    mask = MaskSpec.block_diagonal(masks)
    assert mask == MaskSpec(
        (1, 4, 2, 1, 2), (((0, 1),), ((0, 5),), ((5, 6),), ((6, 7), (9, 11)), ((8, 10),)), 11
    )
    assert torch.equal(mask.dense(), torch.block_diag(*(m.dense().int() for m in masks)).bool())


def test_block_diagonal_takes_what_it_made():
    mask = MaskSpec.scale_causal(SCHEDULE)
    pair = MaskSpec.block_diagonal([mask, mask])
    assert MaskSpec.block_diagonal([pair, mask]) == MaskSpec.block_diagonal([mask, mask, mask])
    assert MaskSpec.block_diagonal([mask]) == mask


def test_spans_that_touch_are_one():
    mask = MaskSpec((2,), (((0, 1), (1, 1), (1, 3)),), 3)
    assert mask == MaskSpec.full(2, 3)
    assert hash(mask) == hash(MaskSpec.full(2, 3))
    assert mask.is_full


@pytest.mark.parametrize(
    "mask",
    [
        GAPS,
        MaskSpec.full(3, 2),
        MaskSpec.scale_causal(SCHEDULE).prefixed(2),
        MaskSpec.block_diagonal([GAPS, MaskSpec.scale_causal(SCHEDULE)]),
        MaskSpec((2, 0, 1), (((0, 1),), ((0, 2),), ((1, 2),)), 3),
    ],
)
def test_mask_mod_is_what_flex_attention_takes(mask):
    seen = create_mask(mask.mask_mod(), 1, 1, mask.q_len, mask.kv_len, device="cpu")
    assert torch.equal(seen[0, 0], mask.dense())


@pytest.mark.parametrize(
    ("q_lens", "kv_spans", "message"),
    [
        ((1, 2), (((0, 1),),), "2 segments but 1 sets of spans"),
        ((-1,), (((0, 1),),), "negative"),
        ((1,), (((0, 6),),), "intervals of 5 keys"),
        ((1,), (((-1, 2),),), "intervals of 5 keys"),
        ((1,), (((2, 1),),), "ascending"),
        ((1,), (((3, 5), (0, 1)),), "ascending"),
        ((1,), (((0, 3), (2, 5)),), "ascending"),
        ((1,), ((),), "sees no key"),
        ((1,), (((2, 2),),), "sees no key"),
    ],
)
def test_what_is_no_mask_is_refused(q_lens, kv_spans, message):
    with pytest.raises(ValueError, match=message):
        MaskSpec(q_lens, kv_spans, 5)
