"""What the tests of caches share: plans, random scales, and the bytes that a state really holds."""

import torch

from vartk.components import plugins
from vartk_registry import MaskSpec
from vartk_registry.interfaces import AttendingState, CachePlan, Schedule
from vartk_registry.testing import dense_attend

CACHES = {
    "window": {"share": 1},
    "sink": {"share": 1},
    "ams_kv": {"c_min": 9, "c_max": 9, "budget": 1},
    "h2o": {"budget": 1},
    "scale_kv": {"budget": 1},
    "hack": {"budget": 1},
}
"""Parameters with which each keeps everything."""


def build(name, **params):
    """Build a cache strategy."""
    return plugins().registry.build("cache", name, params)


def plan_of(grids, **changes):
    """Return a plan for small tensors."""
    own = {
        "layers": 2,
        "batch": 4,
        "heads": 3,
        "head_dim": 4,
        "scale": 0.5,
        "dtype": torch.float32,
        "device": torch.device("cpu"),
    }
    return CachePlan(schedule=Schedule.of(grids), **{**own, **changes})


def scale(plan, step, size=None):
    """Return random q, k and v of a scale, as a model has them: views of one tensor."""
    shape = (plan.batch, size or plan.schedule.sizes[step], 3, plan.heads, plan.head_dim)
    return torch.randn(shape).to(plan.dtype).unbind(2)


def by_scale(plan, step):
    """Return q, k and v that are 0, the scale's index, and minus that."""
    shape = (plan.batch, plan.schedule.sizes[step], plan.heads, plan.head_dim)
    return torch.zeros(shape), torch.full(shape, float(step)), torch.full(shape, -float(step))


def attention(state, plan, layer, step, q, k, v):
    """Return the attention's output, as a session computes it."""

    def attend(q, k, v):
        return dense_attend(q, k, v, mask=MaskSpec.full(q.shape[1], k.shape[1]), scale=plan.scale)

    if isinstance(state, AttendingState):
        return state.attend(layer, step, q, k, v, attend)
    return attend(q, *state.append(layer, step, q, k, v))


def run(cache, plan, inputs):
    """Return the outputs of a generation, by scale and layer, for q, k and v by scale and layer."""
    state = cache.start(plan)
    return [
        attention(state, plan, layer, step, *qkv)
        for step, of_layers in enumerate(inputs)
        for layer, qkv in enumerate(of_layers)
    ]


def held_bytes(value):
    """Return the bytes of the storages of all tensors that an object of vartk_plugins leads to."""
    storages, seen, left = {}, set(), [value]
    while left:
        value = left.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        elif isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list | tuple):
            left += value
        elif type(value).__module__.startswith("vartk_plugins"):
            left += vars(value).values()
    return sum(storages.values())
