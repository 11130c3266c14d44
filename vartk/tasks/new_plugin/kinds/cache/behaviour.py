"""What the cache keeps: numbers worked out by hand."""

import torch

from my_plugin.cache import MyComponent
from vartk_registry.interfaces import CachePlan, Schedule


def test_the_newest_scales_are_seen():
    schedule = Schedule.of([1, 2, 3])
    plan = CachePlan(schedule, 1, 1, 1, 1, 1.0, torch.float32, torch.device("cpu"))
    state = MyComponent(scales=1).start(plan)
    seen = []
    for step, (start, stop) in enumerate(schedule.spans):
        k = torch.arange(start, stop, dtype=torch.float32)[None, :, None, None]
        seen.append(state.append(0, step, k, k, -k)[0].flatten().tolist())
    assert seen == [[0], [0, 1, 2, 3, 4], list(range(1, 14))]
    assert state.nbytes() == 2 * 4 * 9  # k and v of the last scale in float32
