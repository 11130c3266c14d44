"""VAR's generation, a cached step a scale, beside the teacher-forced pass."""

import golden
import pytest
import torch
from tiny_transformer import FULL, attend, batch, inputs_of_step, stepwise, tiny

from vartk_registry import MaskSpec
from vartk_registry.interfaces import Schedule

SCHEDULES = {
    "trained": Schedule.of([1, 2, 3]),
    "not square": Schedule.of([(1, 2), (2, 3), (4, 3), (3, 5)]),
    "scales of one token": Schedule.of([1] * 6),
    "raster order": Schedule(((2, 3),), raster=True),
    "raster order, of several scales": Schedule(((1, 1), (2, 3)), raster=True),
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("trained_on_it", [True, False])
def test_cached_steps_equal_the_teacher_forced_pass(schedule, trained_on_it):
    other = Schedule(((2, 2), (4, 4)), raster=True) if schedule.raster else Schedule.of([1, 2, 4])
    model = tiny(schedule if trained_on_it else other)
    inputs, condition = batch(schedule)
    with torch.no_grad():
        expected = model(inputs, condition, schedule, attend)
    assert expected.shape == (3, schedule.total, 16)
    steps = stepwise(model, inputs, condition, schedule)
    assert [step.shape[1] for step in steps] == list(schedule.sizes)
    golden.assert_close(torch.cat(steps, dim=1), expected, 1e-5)


@pytest.mark.parametrize("shared", [False, True])
def test_narrow_goes_on_with_the_first_samples(shared):
    schedule = Schedule.of([1, 2, 3])
    model = tiny(schedule, shared_adaln=shared)
    inputs, condition = batch(schedule, size=4)
    with torch.no_grad():
        expected = model(inputs, condition, schedule, attend)
        session = model.begin(condition, schedule, FULL, attend)
        session.step(None)
        session.narrow(2)
        session.step(inputs_of_step(inputs, schedule, 1)[:2])
        last = session.step(inputs_of_step(inputs, schedule, 2)[:2])
    golden.assert_close(last, expected[:2, 5:], 1e-5)


class Subset:
    """A cache that has only some tokens of one scale computed; the others get an output of 0."""

    lossless = False

    def __init__(self, step, kept):
        self.step, self.kept = step, kept

    def start(self, plan):
        self.full, self.calls = FULL.start(plan), []
        self.append, self.narrow, self.nbytes = (
            self.full.append,
            self.full.narrow,
            self.full.nbytes,
        )
        return self

    def select(self, layer, branch, step, x):
        self.calls.append((step, layer, branch, x.shape[1]))
        return self.kept if step == self.step else None

    def restore(self, layer, branch, step, out, kept):
        if kept is None:
            return out
        whole = out.new_zeros(len(out), 9, out.shape[-1])
        return whole.scatter(1, kept[..., None].expand_as(out), out)


def test_the_order_in_which_tokens_are_selected_does_not_matter():
    schedule = Schedule.of([1, 2, 3])
    model = tiny(schedule)
    inputs, condition = batch(schedule)
    cache = Subset(2, torch.stack([torch.randperm(9) for _ in range(3)]))
    steps = stepwise(model, inputs, condition, schedule, cache)
    expected = stepwise(model, inputs, condition, schedule)
    golden.assert_close(torch.cat(steps, dim=1), torch.cat(expected, dim=1), 1e-5)
    branches = ("attention", "ffn")
    assert cache.calls == [
        (step, layer, branch, n)
        for step, n in enumerate(schedule.sizes)
        for layer in (0, 1)
        for branch in branches
    ]


def test_pruned_tokens_are_as_if_masked():
    schedule = Schedule.of([1, 2, 3])
    model = tiny(schedule)
    inputs, condition = batch(schedule)
    kept, pruned = [0, 1, 5, 6, 7], [2, 3, 4, 8]
    cache = Subset(2, torch.tensor([kept] * 3))
    steps = stepwise(model, inputs, condition, schedule, cache)

    def attend_to_kept(q, k, v, *, mask, **options):
        last = ((0, 7), (10, 13))  # keys 5 to 13 are the third scale's
        mask = MaskSpec(mask.q_lens, (*mask.kv_spans[:2], last), mask.kv_len)
        return attend(q, k, v, mask=mask, **options)

    with torch.no_grad():
        expected = model(inputs, condition, schedule, attend_to_kept)
    golden.assert_close(torch.cat(steps[:2], dim=1), expected[:, :5], 1e-5)
    golden.assert_close(steps[2][:, kept], expected[:, 5:][:, kept], 1e-5)
    # the blocks add nothing to a pruned token: its logits are the head's for the embedded input
    embedded = model.embed_inputs(inputs[:, 4:], schedule.grids[2:]) + model.layout(schedule)[:, 5:]
    skipped = model.logits(embedded, model.head_modulate(condition.vector), schedule.grids[2:])
    golden.assert_close(steps[2][:, pruned], skipped[:, pruned], 1e-5)
