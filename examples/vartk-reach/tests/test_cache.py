"""What the strategy keeps and measures: numbers worked out by hand."""

import pytest
import torch
from vartk_reach.cache import ReachCache

from vartk_registry import VartkError
from vartk_registry.interfaces import CachePlan, Schedule
from vartk_registry.testing import check_cache

SCHEDULE = Schedule.of([1, 2, 3])


def plan(layers=2):
    return CachePlan(SCHEDULE, layers, 1, 1, 1, 1.0, torch.float32, torch.device("cpu"))


def test_each_layer_keeps_its_own_number_of_scales():
    state = ReachCache(layers=[0, 1], mass=0.95).start(plan())
    seen = []
    for step, (start, stop) in enumerate(SCHEDULE.spans):
        k = torch.arange(start, stop, dtype=torch.float32)[None, :, None, None]
        seen.append([state.append(layer, step, k, k, -k)[0].flatten().tolist() for layer in range(2)])
    assert seen[1] == [[1, 2, 3, 4], [0, 1, 2, 3, 4]]
    assert seen[2] == [list(range(5, 14)), list(range(1, 14))]
    assert state.nbytes() == 2 * 4 * 9  # the second layer's last scale: k and v in float32


@pytest.mark.parametrize(("mass", "reach"), [(0.5, 0), (0.85, 1), (0.95, 2)])
def test_calibration_counts_the_scales_that_cover_the_attention(mass, reach):
    # equal scores: the attention is shared by the number of tokens, 9, 4 and 1 of 14
    calibration = ReachCache(layers=[], mass=mass).calibration()
    state = calibration.start(plan(layers=1))
    for step, size in enumerate(SCHEDULE.sizes):
        if step == 1:
            before = calibration.parameters()["layers"]
        zeros = torch.zeros(1, size, 1, 1)
        state.append(0, step, zeros, zeros, zeros)
    assert before == [0]
    assert calibration.parameters()["layers"] == [reach]


def test_without_layers_it_is_lossless():
    strategy = ReachCache(layers=[], mass=0.95)
    assert strategy.lossless
    check_cache(strategy)


def test_a_wrong_number_of_layers_is_refused():
    with pytest.raises(VartkError, match="layers has 3 numbers, the model 2 layers"):
        ReachCache(layers=[1, 1, 1], mass=0.95).start(plan())
