"""Token merging, by hand."""

import pytest
import torch
from evicting import plan_of

from vartk.components import plugins
from vartk_registry import ParamErrors
from vartk_registry.testing import check_cache


def started(grids, **params):
    strategy = plugins().registry.build("cache", "tome", params)
    return strategy.start(plan_of(grids, batch=1, layers=1))


def test_the_most_similar_sources_go_into_their_destinations_and_come_back():
    # 2x3 tokens: destinations are 0 and 2, sources 1, 3, 4, 5
    state = started([1, (2, 3)], ratios=[0.4])  # int(2.4) = 2 of them merge
    x = torch.tensor([[[1.0, 0], [0, 4], [0, 2], [3, 0], [1, 1], [-1, 0.5]]])
    # cosines with (1, 0) and (0, 1): source 1 is destination 2's, 3 is 0's, both exactly; the rest less
    kept = state.select(0, "ffn", 1, x)
    assert kept.tolist() == [[0, 2, 4, 5]]
    merged = state.merge(0, "ffn", 1, x, kept)
    assert merged.tolist() == [[[2, 0], [0, 3], [1, 1], [-1, 0.5]]]  # means of 0 and 3, of 2 and 1
    out = torch.tensor([[[10.0], [20], [30], [40]]])
    assert state.restore(0, "ffn", 1, out, kept).flatten().tolist() == [10, 20, 20, 10, 30, 40]


def test_several_sources_may_share_a_destination():
    state = started([1, 2], ratios=[0.75])
    x = torch.tensor([[[1.0], [2], [3], [6]]])
    kept = state.select(0, "attention", 1, x)
    assert kept.tolist() == [[0]]
    assert state.merge(0, "attention", 1, x, kept).tolist() == [[[3]]]
    assert state.restore(0, "attention", 1, torch.tensor([[[5.0]]]), kept).flatten().tolist() == [5] * 4


def test_destinations_are_never_merged():
    state = started([1, (1, 3), (5, 1)], ratios=[0.75, 0.75])
    for step, n, destinations in ((1, 3, [0, 2]), (2, 5, [0, 2, 4])):
        assert state.select(0, "ffn", step, torch.randn(1, n, 4)).tolist() == [destinations]


def test_more_than_three_quarters_cannot_be_merged():
    with pytest.raises(ParamErrors, match=r"at most 0\.75"):
        started([1, 2], ratios=[0.8])


def test_a_merged_input_of_another_shape_breaks_the_contract(monkeypatch):
    strategy = plugins().registry.build("cache", "tome", {})
    state = type(strategy.start(plan_of([1, 2, 3])))
    monkeypatch.setattr(state, "merge", lambda self, layer, branch, step, x, kept: x)
    with pytest.raises(AssertionError, match="a merged input"):
        check_cache(strategy)
