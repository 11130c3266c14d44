"""What the transformer does."""

import pytest
import torch

from my_plugin.transformer import MyComponent
from vartk_registry import VartkError
from vartk_registry.interfaces import CodeSpace, Condition, Schedule
from vartk_registry.testing import KeepAll, check_transformer, dense_attend

SCHEDULE, BITS = Schedule.of([1, 2, (2, 4)]), CodeSpace(2, (3,))


def small(**size):
    torch.manual_seed(0)
    size = {"depth": 2, "width": 16, "heads": 2, **size}
    return MyComponent(schedule=SCHEDULE, space=BITS, channels=5, **size)


def test_codes_of_several_bits_and_grids_that_are_not_square():
    condition = Condition(torch.randn(2, 16))
    check_transformer(small(), condition, schedule=SCHEDULE, space=BITS, channels=5, cache=KeepAll())


def test_a_condition_changes_the_first_scale():
    vectors, nothing = torch.randn(2, 16), torch.zeros(2, SCHEDULE.total - 1, 5)
    logits = small()(nothing, Condition(vectors), SCHEDULE, dense_attend)
    assert not torch.allclose(logits[0, 0], logits[1, 0])


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(VartkError, match="width=16 is not divided by heads=3"):
        small(heads=3)
