"""Which branches of guidance run at which step, worked out by hand for four scales."""

import pytest

from vartk.components import plugins
from vartk.engine.branches import Branches
from vartk_registry.interfaces import Schedule

SCHEDULE = Schedule.of([1, 2, 3, 4])


class Weights:
    """Guidance of given strengths."""

    def __init__(self, *weights):
        self.weights = weights

    def weight(self, step, steps):
        return self.weights[step]


def branches(weights, drafted=0, **cache):
    strategy = plugins().registry.build("cache", cache.pop("name", "full"), cache)
    found = Branches.of(Weights(*weights), strategy, SCHEDULE, drafted)
    return found.both, found.null_goes_on


@pytest.mark.parametrize(
    ("weights", "both", "null_goes_on"),
    [
        ((0, 0, 0, 0), 0, False),  # no guidance: no null branch
        ((0, 1, 2, 3), 4, False),  # both to the end
        ((0, 1, 0, 0), 2, False),  # the first step needs both, too: its keys are attended to
        ((2, 1, -1, -1), 2, True),  # the null branch goes on
        ((0, 0, -1, -1), 2, True),
        ((-1, -1, -1, -1), 0, True),  # the null branch alone
        ((-1, -1, 0, 0), 2, False),
        ((0, -1, 0, -1), 3, True),
    ],
)
def test_a_branch_stops_where_no_later_step_needs_it(weights, both, null_goes_on):
    assert branches(weights) == (both, null_goes_on)


def test_steps_that_are_drafted_need_no_branch_of_their_own():
    assert branches((1, 1, 0, 0), drafted=2) == (0, False)
    assert branches((1, 1, 1, 0), drafted=2) == (3, False)
    assert branches((1, 1, -1, -1), drafted=2) == (0, True)


def test_a_cache_may_take_the_null_branch_for_the_last_scales():
    assert branches((0, 1, 2, 3), name="fastervar", scales=2) == (2, True)
    assert branches((0, 1, 2, 3), name="fastervar", scales=2, drop_conditional=False) == (4, False)
    assert branches((0, 0, 0, 0), name="fastervar", scales=2) == (0, False)
    # of scales that are skipped none is needed
    assert branches((0, 1, 2, 3), name="fastervar", scales=2, ratios=[[0.5], [0]]) == (2, True)
