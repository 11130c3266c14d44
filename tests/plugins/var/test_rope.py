"""2-D RoPE: what is turned, by how much, and what follows for attention."""

import math

import pytest
import torch
from tiny_transformer import FULL, attend, batch, build, tiny

from vartk_plugins.var.rope import rotated, turns_of
from vartk_registry import VartkError
from vartk_registry.interfaces import CodeSpace, Schedule
from vartk_registry.testing import check_transformer


def angles(schedule, head_dim):
    cos, sin = turns_of(schedule, head_dim, torch.device("cpu"))[0].unbind(-1)
    return torch.atan2(sin, cos)


def test_the_first_half_is_turned_by_the_row_and_the_other_by_the_column():
    found = angles(Schedule.of([(2, 3)]), 8)  # 2 pairs an axis, with the speeds 1 and 1/100
    expected = [[row, row / 100, col, col / 100] for row in range(2) for col in range(3)]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_all_scales_are_measured_on_the_reference_grid():
    found = angles(Schedule(((1, 1), (2, 2), (4, 1)), reference=(3, 6)), 4)
    # 1 x 3/2 = 1.5 and rounds to 2; 3/4 of 1, 2 and 3 are .75, 1.5 and 2.25
    rows_columns = [(0, 0), (0, 0), (0, 3), (2, 0), (2, 3), (0, 0), (1, 0), (2, 0), (2, 0)]
    torch.testing.assert_close(found, torch.tensor(rows_columns, dtype=torch.float))
    same = angles(Schedule.of([1, (3, 6)]), 4)
    assert torch.equal(same, angles(Schedule(((1, 1), (3, 6)), reference=(3, 6)), 4))


def test_pairs_of_adjacent_channels_are_turned():
    x = torch.tensor([1.0, 0.0, 0.0, 2.0]).view(1, 1, 1, 4)
    quarter, none = [0.0, 1.0], [1.0, 0.0]
    turned = rotated(x, torch.tensor([quarter, none]).view(1, 1, 2, 2))
    torch.testing.assert_close(turned.flatten(), torch.tensor([0.0, 1.0, 0.0, 2.0]))


def test_a_product_depends_on_the_offset_alone():
    schedule = Schedule.of([(5, 5)])
    turns = turns_of(schedule, 16, torch.device("cpu"))
    q, k = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    q_BSHD, k_BSHD = (rotated(x.expand(1, 25, 1, 16), turns)[0, :, 0] for x in (q, k))
    products = (q_BSHD @ k_BSHD.T).view(5, 5, 5, 5)
    torch.testing.assert_close(products[1, 1, 3, 2], products[2, 3, 4, 4])
    assert not math.isclose(products[1, 1, 3, 2], products[1, 1, 2, 3], abs_tol=1e-3)


def test_var_has_no_positions_with_it_and_keeps_the_contract():
    schedule = Schedule.of([1, 2, (2, 4)])
    model = tiny(schedule, positions="rope2d")
    assert "position" not in dict(model.named_parameters())
    _, condition = batch(schedule)
    check_transformer(model, condition, schedule=schedule, space=CodeSpace(16), channels=4, cache=FULL)
    check_transformer(
        model, condition, schedule=Schedule.of([1, 3, 5]), space=CodeSpace(16), channels=4, cache=FULL
    )


def test_the_turns_matter_to_var():
    schedule = Schedule.of([1, 2, 4])
    model = tiny(schedule, positions="rope2d", depth=1)
    inputs, condition = batch(schedule)
    with torch.no_grad():
        first = model(inputs, condition, schedule, attend)
        other = model(inputs, condition, Schedule(schedule.grids, reference=(16, 16)), attend)
    assert not torch.allclose(first, other, atol=1e-3)


def test_an_odd_head_dim_is_refused():
    with pytest.raises(VartkError, match="a head of 6 channels"):
        turns_of(Schedule.of([1]), 6, torch.device("cpu"))
    with pytest.raises(VartkError, match="a head of 6 channels"):
        build(Schedule.of([1, 2]), positions="rope2d", width=12, heads=2)
