"""`h2o`, `scale_kv` and `hack`, by hand: keys are unit vectors, one a token, and a query picks a token."""

import pytest
import torch
from evicting import build, plan_of, run, scale

from vartk_plugins.token_caches import scores
from vartk_plugins.token_caches.hack import column_variance
from vartk_plugins.token_caches.scale_kv import observation_window
from vartk_registry import MaskSpec, Unsupported, VartkError
from vartk_registry.interfaces import AttendingState, Calibratable, Calibration
from vartk_registry.testing import check_cache, dense_attend

DIM = 16


def line(*lengths, **changes):
    """Return a plan of maps of one row."""
    own = {"layers": 1, "batch": 1, "heads": 1, "head_dim": DIM, "scale": 1.0}
    return plan_of([(1, length) for length in lengths], **{**own, **changes})


def picking(plan, step, picks):
    """Return the q, k and v with which each query of a scale attends to one token, by its index.

    `picks` are indices [n], of all samples and heads, or [B, H, n].
    """
    start, stop = plan.schedule.spans[step]
    shape = (plan.batch, plan.heads, stop - start)
    q = 100 * torch.eye(DIM)[torch.tensor(picks).expand(shape)].transpose(1, 2)
    k = torch.eye(DIM)[start:stop, None].expand(plan.batch, stop - start, plan.heads, DIM)
    return q, k, k


def seen(cache, plan, *picks, layer=0):
    """Return what the last scale sees of the scales before, for each sample and head."""
    state, calls = cache.start(plan), []

    def attend(q, k, v):
        calls.append(k.argmax(dim=-1)[:, : k.shape[1] - q.shape[1]].transpose(1, 2).tolist())
        return dense_attend(q, k, v, mask=MaskSpec.full(q.shape[1], k.shape[1]), scale=plan.scale)

    for step, of_queries in enumerate(picks):
        q, k, v = picking(plan, step, of_queries)
        if isinstance(state, AttendingState):
            state.attend(layer, step, q, k, v, attend)
        else:
            attend(q, *state.append(layer, step, q, k, v))
    return calls[-1]


def test_h2o_keeps_the_newest_tokens_and_the_highest_sums():
    plan = line(1, 2, 3, 4, 1)  # tokens 0 | 1 2 | 3 4 5 | 6 7 8 9 | 10
    cache = build("h2o", tokens=4, recent=0.5)
    # sums after scale 2: 1, 3, 2, 0, 0, 0, of which 4 and 5 are the newest
    assert seen(cache, line(1, 2, 3, 1), [0], [2, 2], [1, 1, 1], [0]) == [[[1, 2, 4, 5]]]
    # then of 1 2 4 5 6 7 8 9: 3, 2, 0, 1, 3, 0, 0, 0; 2's old sum is less than 6's
    assert seen(cache, plan, [0], [2, 2], [1, 1, 1], [6, 6, 6, 5], [0]) == [[[1, 6, 8, 9]]]
    # the newest scale alone would not keep 1
    assert seen(cache, plan, [0], [2, 2], [1, 1, 1], [6, 6, 5, 5], [0]) == [[[1, 6, 8, 9]]]


@pytest.mark.parametrize(("recent", "held"), [(0, [0, 1, 2, 5]), (0.25, [0, 1, 2, 5]), (1, [2, 3, 4, 5])])
def test_h2o_divides_its_budget(recent, held):
    cache = build("h2o", tokens=4, recent=recent)  # of equal sums the newest stay
    assert seen(cache, line(1, 2, 3, 1), [0], [2, 2], [1, 1, 1], [0]) == [[held]]


def test_each_sample_and_head_chooses_for_itself():
    plan = line(3, 1, batch=2, heads=2)
    picks = [[[0, 0, 0], [1, 1, 1]], [[1, 1, 1], [2, 2, 2]]]
    for cache in (build("h2o", tokens=1, recent=0), build("hack", tokens=1)):
        assert seen(cache, plan, picks, [0]) == [[[0], [1]], [[1], [2]]]


@pytest.mark.parametrize(("share", "tokens"), [(0.5, 5), (0.29, 2), (0.01, 1)])
def test_a_share_is_of_the_schedules_tokens(share, tokens):
    plan = line(1, 3, 6, scale=0.0)  # 10
    assert len(seen(build("h2o", budget=share), plan, [0], [1, 1, 1], [0] * 6)[0][0]) == min(tokens, 4)


def test_attention_in_pieces_is_attention(monkeypatch):
    q, k = torch.randn(2, 7, 3, 4), torch.randn(2, 9, 3, 4)
    p = (0.5 * torch.einsum("bnhd,bthd->bhnt", q, k)).softmax(dim=-1)
    for piece in (1, 100, 1 << 20):
        monkeypatch.setattr(scores, "_PIECE", piece)
        torch.testing.assert_close(scores.received(q, k, 0.5), p.sum(dim=2).transpose(1, 2))
        variance = p.var(dim=2, correction=0).sum(dim=-1)
        torch.testing.assert_close(column_variance(q, k, 0.5), variance)


@pytest.mark.parametrize(
    ("grid", "rows", "columns"),
    [
        ((8, 8), [1, 3, 5, 7], [1, 3, 5, 7]),
        ((16, 4), [2, 6, 10, 14], [0, 1, 2, 3]),
        ((13, 6), [1, 4, 8, 11], [0, 2, 3, 5]),  # centres 1.6, 4.9, 8.1, 11.4 and .75, 2.25, 3.75, 5.25
        ((2, 3), [0, 1], [0, 1, 2]),
        ((1, 1), [0], [0]),
    ],
)
def test_the_observation_window_is_the_centres_of_a_partition(grid, rows, columns):
    h, w = grid
    centres = [row * w + column for row in rows for column in columns]
    assert list(observation_window(h * w, grid)) == centres


def test_the_window_of_a_pruned_map_is_16_tokens_at_equal_distances():
    assert observation_window(32, (8, 8)) == tuple(range(1, 32, 2))
    assert observation_window(5, (8, 8)) == (0, 1, 2, 3, 4)


def test_scale_kv_keeps_the_window_and_what_it_attends_to():
    plan = line(2, 8, 1)  # tokens 0 1 | 2 .. 9 | 10; the window is 3 5 7 9
    window_picks = [1, 0, 1, 0, 1, 4, 1, 4]  # the others pick 1, which does not count
    assert seen(build("scale_kv", tokens=6), plan, [0, 0], window_picks, [0]) == [[[0, 3, 4, 5, 7, 9]]]


def test_drafters_have_more_and_the_budget_is_the_mean():
    plan = line(6, 3, 1, layers=3)
    cache = build("scale_kv", tokens=3, refiner=0.4, drafters=[[1], [], []])
    # at scale 1 the budget of 9 is 5 + 2 + 2
    lengths = [len(seen(cache, plan, [0] * 6, [0] * 3, layer=layer)[0][0]) for layer in range(3)]
    assert lengths == [5, 2, 2]
    # at scale 2 no layer is a drafter: 3 each
    lengths = [len(seen(cache, plan, [0] * 6, [0] * 3, [0], layer=layer)[0][0]) for layer in range(3)]
    assert lengths == [3, 3, 3]


def test_what_drafters_cannot_use_goes_to_refiners():
    plan = line(6, 1, layers=2)
    cache = build("scale_kv", tokens=5, refiner=0.1, drafters=[[1], []])  # 9 + 1, of 6 tokens
    assert [len(seen(cache, plan, [0] * 6, [0], layer=layer)[0][0]) for layer in range(2)] == [6, 4]


def test_structural_heads_keep_the_first_two_scales_the_last_one_and_the_top_of_the_middle():
    plan = line(1, 2, 3, 2, 1)  # tokens 0 | 1 2 | 3 4 5 | 6 7 | 8
    assert seen(build("hack", tokens=6), plan, [0], [0, 0], [3, 3, 3], [4, 4], [0]) == [[[0, 1, 2, 4, 6, 7]]]
    # too few for the last scale: its token with the most attention
    assert seen(build("hack", tokens=4), plan, [0], [0, 0], [3, 3, 3], [7, 7], [0]) == [[[0, 1, 2, 7]]]
    # too few for the first two scales: theirs
    assert seen(build("hack", tokens=2), plan, [0], [0, 1], [3, 3, 3], [4, 4], [0]) == [[[0, 1]]]


def test_contextual_heads_keep_few_tokens_by_attention():
    plan = line(1, 2, 3, 2, heads=2)  # tokens 0 | 1 2 | 3 4 5 | 6 7
    cache = build("hack", tokens=4, contextual_budget=0.5, contextual=[[1]])  # 5.3 and 2.7, of a mean of 4
    structural = [0], [0, 2], [3, 5, 5], [0, 0]
    contextual = [0], [0, 2], [2, 2, 4], [0, 0]
    picks = [[[a, b]] for a, b in zip(structural, contextual, strict=True)]
    assert seen_by_heads(cache, plan, picks) == {0: [0, 1, 2, 3, 5], 1: [2, 4]}


def seen_by_heads(cache, plan, picks):
    """Return what the last scale sees of the scales before, by head."""
    state, found = cache.start(plan), []
    for step, of_heads in enumerate(picks):
        found.clear()
        q, k, v = picking(plan, step, of_heads)
        v = v + torch.arange(plan.heads)[:, None] * 1000  # to know a head by its values

        def attend(q, k, v):
            older = k.shape[1] - q.shape[1]
            for head in range(k.shape[2]):
                found.append((int(v[0, 0, head, -1]) // 1000, k[0, :older, head].argmax(dim=-1).tolist()))
            return dense_attend(q, k, v, mask=MaskSpec.full(q.shape[1], k.shape[1]), scale=plan.scale)

        out = state.attend(0, step, q, k, v, attend)
        # each query picks one token, so the output is its value, of the query's own head
        assert (out[0, :, 1] - out[0, :, 0]).mean() == pytest.approx(1000, abs=1)
    return dict(found)


def test_heads_of_two_sorts_attend_as_with_the_full_cache_where_all_is_kept():
    plan = plan_of([1, 2, (2, 3)], layers=2)
    inputs = [[scale(plan, step) for _ in range(2)] for step in range(3)]
    cache = build("hack", budget=1, contextual=[[0, 2], [0, 1, 2]])
    for made, expected in zip(run(cache, plan, inputs), run(build("full"), plan, inputs), strict=True):
        torch.testing.assert_close(made, expected)
    with pytest.raises(Unsupported, match="heads hold different numbers of keys"):
        cache.start(plan).append(0, 0, *inputs[0][0])


def test_the_bytes_of_the_budgets():
    plan = line(1, 2, 4, 8, 1, layers=2, heads=4)  # 16 tokens, 15 of which the last scale would see
    cache = build("hack", budget=0.25, contextual=[[0, 1], [0, 1]], contextual_budget=0.25)
    state = cache.start(plan)
    for step in range(4):
        for layer in range(2):
            state.attend(
                layer, step, *picking(plan, step, [0] * plan.schedule.sizes[step]), lambda q, k, v: q
            )
    # a mean of 4 is 6 and 1 (6.4 and 1.6): 7 tokens in two heads of each layer
    assert state.nbytes() == 2 * 2 * 2 * 7 * DIM * 4


def calibrated(strategy, plan, *picks_by_layer):
    """Return the parameters that a calibration finds where the layers' queries pick these tokens."""
    assert isinstance(strategy, Calibratable)
    calibration = strategy.calibration()
    assert isinstance(calibration, Calibration)
    state = calibration.start(plan)
    for step in range(len(plan.schedule)):
        for layer, picks in enumerate(picks_by_layer):
            state.append(layer, step, *picking(plan, step, picks[step]))
    return calibration.parameters()


@pytest.mark.parametrize(
    ("share", "drafters"), [(0, [[], []]), (0.25, [[], [2]]), (0.5, [[2], [2]]), (1, [[1, 2], [1, 2]])]
)
def test_drafters_are_the_pairs_that_attend_to_coarser_scales(share, drafters):
    plan = line(1, 2, 3, layers=2)
    # shares on coarser scales: 0 and 2/3; 1/2 and 1
    picks = ([0], [1, 2], [0, 2, 3]), ([0], [0, 1], [0, 0, 0])
    strategy = build("scale_kv", drafter_share=share)
    assert calibrated(strategy, plan, *picks) == {"drafters": drafters}


@pytest.mark.parametrize(
    ("share", "contextual"), [(0, [[], []]), (0.25, [[], [1]]), (0.5, [[0], [1]]), (1, [[0, 1], [0, 1]])]
)
def test_contextual_heads_are_those_of_low_variance(share, contextual):
    plan = line(1, 4, layers=2, heads=2)
    one, two, each = [0, 0, 0, 0], [0, 0, 0, 2], [0, 1, 2, 3]
    picks = ([0], [[two, each]]), ([0], [[each, one]])
    strategy = build("hack", contextual_share=share)
    assert calibrated(strategy, plan, *picks) == {"contextual": contextual}


@pytest.mark.parametrize("name", ["scale_kv", "hack"])
def test_calibration_attends_as_a_full_cache(name):
    check_cache(build(name).calibration())
    with pytest.raises(VartkError, match="nothing was measured"):
        build(name).calibration().parameters()


def test_tables_of_another_model_are_refused():
    plan = plan_of([1, 2], layers=2, heads=3)
    with pytest.raises(VartkError, match="drafters is for 1 layers, this model has 2"):
        build("scale_kv", drafters=[[1]]).start(plan)
    with pytest.raises(VartkError, match="counted from 0, and the first has none to see"):
        build("scale_kv", drafters=[[1], [0]]).start(plan)
    for table in ([[0]], [[0], [3]], [[0], [-1]], [[0], [1, 1]]):
        with pytest.raises(VartkError, match="does not fit this model of 2 layers with 3 heads"):
            build("hack", contextual=table).start(plan)
