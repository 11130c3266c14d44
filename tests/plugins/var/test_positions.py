"""VAR's positions, learned for one schedule and used for others."""

import pytest
import torch
from tiny_transformer import attend, batch, tiny

from vartk_plugins.var.positions import nearest_scale
from vartk_registry.interfaces import Schedule


@pytest.mark.parametrize(
    ("grid", "expected"),
    [((1, 1), 0), ((2, 2), 1), ((1, 5), 1), ((3, 4), 2), ((9, 9), 2), ((1, 2), 1), ((2, 4), 2)],
)
def test_nearest_trained_scale(grid, expected):
    # the last two grids lie as far from one trained scale as from the next
    assert nearest_scale(Schedule.of([1, 2, 4]), grid) == expected


def test_positions_of_the_trained_schedule_are_the_parameters():
    schedule = Schedule.of([1, 2, (2, 3)])
    model = tiny(schedule)
    level = model.level.weight[torch.tensor(schedule.levels)]
    expected = model.position + level
    expected[:, :1] += model.start_position
    assert torch.equal(model.layout(schedule), expected)


def test_positions_of_another_schedule_are_resized():
    trained, other = Schedule.of([1, 4, 8]), Schedule.of([1, (2, 3), (8, 8), (6, 12)])
    model = tiny(trained)
    with torch.no_grad():
        model.level.weight.copy_(torch.tensor([[100.0], [200.0], [300.0]]).expand(3, 32))
        # the finest map rises down the rows, and is the same along a row
        rows = torch.arange(8.0).repeat_interleave(8)
        model.position[:, 17:] = rows[None, :, None]
    start, wide, same, high = (model.layout(other)[0, a:b] for a, b in other.spans)
    trained_layout = model.layout(trained)[0]
    assert torch.equal(start, trained_layout[:1])
    assert torch.equal(same, trained_layout[17:])
    assert wide.mean().item() == pytest.approx(200, abs=1)  # 6 tokens: nearer to 16 than to 1
    high = high.unflatten(0, (6, 12)) - 300
    torch.testing.assert_close(high, high[:, :1].expand_as(high))
    # the middle of row r lies at (r + 1/2) 8/6 - 1/2; torch's bicubic kernel bends a line a little
    torch.testing.assert_close(high[2:4, 0, 0], torch.tensor([17 / 6, 25 / 6]), rtol=0, atol=0.06)


def test_start_of_another_length_is_the_mean():
    model = tiny(Schedule.of([2, 4]))
    with torch.no_grad():
        model.position.zero_()
        model.level.weight.zero_()
    layout = model.layout(Schedule.of([(2, 3), 4]))
    mean = model.start_position[0].mean(dim=0)
    torch.testing.assert_close(layout[0, :6], mean.expand(6, 32))
    assert not layout[0, 6:].any()


@pytest.mark.parametrize("grids", [[1, 3, 6], [1, 4], [(2, 3), 5], [1, 2, 3, (4, 6)]])
@pytest.mark.parametrize("positions", ["learned", "rope2d"])
def test_weights_moved_to_another_schedule_give_what_they_give_for_it(positions, grids):
    """A model that starts from another's weights is at first that model, sampling the new schedule."""
    old, new = Schedule.of([1, 2, 4]), Schedule.of(grids)
    trained, fresh = (tiny(schedule, positions=positions, heads=2) for schedule in (old, new))
    fresh.load_state_dict(fresh.moved_from(old, trained.state_dict()))
    inputs, condition = batch(new)
    expected = trained(inputs, condition, new, attend)
    torch.testing.assert_close(fresh(inputs, condition, new, attend), expected)


def test_weights_for_the_same_schedule_stay():
    model = tiny(Schedule.of([1, 2]))
    weights = model.state_dict()
    moved = model.moved_from(Schedule.of([1, 2]), weights)
    assert all(torch.equal(moved[name], weight) for name, weight in weights.items())
