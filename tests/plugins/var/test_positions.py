"""VAR's positions, learned for one schedule and used for others."""

import logging

import pytest
import torch
from tiny_transformer import tiny

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


def test_interpolation_is_reported_once(caplog):
    model = tiny(Schedule.of([1, 3, 5]))
    with caplog.at_level(logging.WARNING, logger="vartk_plugins.var"):
        model.layout(Schedule.of([1, 3, 5]))
        assert not caplog.records
        for _ in range(2):
            model.layout(Schedule.of([1, (3, 7)]))
    (record,) = caplog.records
    assert "learned for the scales 1, 3, 5" in record.getMessage()
    assert "for the scales 1, 3x7" in record.getMessage()
