"""The `var` transformer in miniature, with inputs for it, and its cached steps."""

import torch

from vartk_registry import discover
from vartk_registry.interfaces import AttentionRequest, CodeSpace, Condition

REGISTRY = discover(
    [f"vartk_plugins.{name}" for name in ("attention", "class_conditioner", "full_cache", "var")]
).registry
EAGER = REGISTRY.build("attention", "eager", {})
FULL = REGISTRY.build("cache", "full", {})


def attend(q, k, v, *, mask, scale, dropout=0.0):
    dtype = str(q.dtype).removeprefix("torch.")
    request = AttentionRequest(mask, q.shape[2], q.shape[3], dtype, q.device.type)
    return EAGER(q, k, v, scale=scale, plan=EAGER.prepare(request), dropout=dropout)


def build(schedule, *, space=None, channels=4, **params):
    return REGISTRY.build(
        "transformer",
        "var",
        params,
        schedule=schedule,
        space=space or CodeSpace(16),
        channels=channels,
    )


def tiny(schedule, **params):
    """A transformer in which every weight matters, as few of the initial ones do."""
    model = build(schedule, **{"depth": 2, "width": 32, "heads": 2, **params}).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def batch(schedule, size=3, width=32, channels=4):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(size, schedule.total - schedule.sizes[0], channels, generator=generator)
    return inputs, Condition(torch.randn(size, width, generator=generator))


def inputs_of_step(inputs, schedule, step):
    start, stop = (edge - schedule.sizes[0] for edge in schedule.spans[step])
    return inputs[:, start:stop] if step else None


@torch.no_grad()
def stepwise(model, inputs, condition, schedule, cache=FULL):
    session = model.begin(condition, schedule, cache, attend)
    steps = range(len(schedule))
    return [session.step(inputs_of_step(inputs, schedule, step)) for step in steps]
