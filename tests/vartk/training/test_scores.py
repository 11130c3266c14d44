"""The loss over logits, and what is reported of it."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from vartk.engine.training.scores import Scores
from vartk_registry.interfaces import CodeSpace, Schedule


def by_definition(logits, codes, schedule, smoothing):
    """Scale by scale, in float64."""
    expected = {}
    for name, (start, stop) in {
        "": (0, schedule.total),
        "_last": schedule.spans[-1],
        **{f"_{k}": span for k, span in enumerate(schedule.spans)},
    }.items():
        part, right = logits[:, start:stop].double(), codes[:, start:stop]
        expected[f"loss{name}"] = cross_entropy(
            part.flatten(0, -2), right.flatten(), label_smoothing=smoothing
        ).item()
        expected[f"accuracy{name}"] = (part.argmax(-1) == right).double().mean().item()
    return expected


@pytest.mark.parametrize("shape", [(), (3,)], ids=["plain", "of several integers"])
@pytest.mark.parametrize("grids", [[1, 2, (3, 5)], [4]], ids=["three scales", "one scale"])
def test_the_numbers_are_the_means_of_each_scale(grids, shape):
    schedule, space = Schedule.of(grids), CodeSpace(7, shape)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, schedule.total, *shape, 7, generator=generator, requires_grad=True)
    codes = torch.randint(7, (4, schedule.total, *shape), generator=generator)
    scores = Scores(space, schedule)
    loss, numbers = scores.loss(logits, codes, 0.1)
    assert loss.requires_grad
    assert not any(value.requires_grad for value in numbers.values())
    expected = by_definition(logits, codes, schedule, 0.1)
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-6)
    assert {name: value.item() for name, value in numbers.items()} == pytest.approx(expected, rel=1e-6)
    kept = scores.by_scale(scores.tokens(logits, codes, 0.1).double().mean(1))
    assert {name: value.item() for name, value in kept.items()} == pytest.approx(expected, rel=1e-6)
    (gradient,) = torch.autograd.grad(loss, logits)
    whole = cross_entropy(logits.flatten(0, -2), codes.flatten(), label_smoothing=0.1)
    torch.testing.assert_close(gradient, torch.autograd.grad(whole, logits)[0])


def test_a_number_that_is_not_finite_stays_in_its_scale():
    schedule = Schedule.of([1, 2])
    logits = torch.zeros(2, 5, 3)
    logits[0, 0, 0] = float("nan")
    _, numbers = Scores(CodeSpace(3), schedule).loss(logits, torch.zeros(2, 5, dtype=torch.long), 0.0)
    assert [name for name, value in numbers.items() if not value.isfinite()] == ["loss", "loss_0"]


class Counted(TorchDispatchMode):
    """Counts what a GPU would launch a kernel for: views and bookkeeping need none."""

    def __init__(self, least=1):
        super().__init__()
        self.least, self.count = least, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        sizes = [x.numel() for x in (*args, result) if isinstance(x, torch.Tensor)]
        self.count += not function.is_view and max(sizes, default=0) >= self.least
        return result


def counted(scales, least=1):
    schedule = Schedule.of(range(1, scales + 1))
    logits = torch.zeros(2, schedule.total, 64, requires_grad=True)
    codes = torch.zeros(2, schedule.total, dtype=torch.long)
    scores = Scores(CodeSpace(64), schedule)
    with Counted(least) as launches:
        scores.loss(logits, codes, 0.0)
    return launches.count


def test_more_scales_need_no_more_launches():
    assert counted(scales=2) == counted(scales=8)


def test_the_logits_are_read_three_times():
    """For their argmax, their softmax, and the loss of the right codes."""
    schedule = Schedule.of(range(1, 9))
    assert counted(scales=8, least=2 * schedule.total * 64) == 3


def test_compiled_it_is_one_graph():
    """By Dynamo alone, which needs no compiler."""
    scores = Scores(CodeSpace(3), Schedule.of([1, 2]))
    logits = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    codes = torch.zeros(2, 5, dtype=torch.long)
    compiled = torch.compile(scores.loss, backend="eager", fullgraph=True)
    assert compiled(logits, codes, 0.0) == scores.loss(logits, codes, 0.0)
