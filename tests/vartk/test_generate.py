from itertools import pairwise

import pytest
import torch
from tiny import tiny_model

from vartk.components import plugins
from vartk.config import Slot
from vartk.engine.attention import build_attention
from vartk.engine.codes import teacher_inputs
from vartk.engine.generate import Recipe, generate
from vartk.engine.randomness import randomness

LABELS = [0, 1, 2]


class Whole:
    """Guidance that has both branches computed throughout: by its weights, never quite zero."""

    def __init__(self, guidance):
        self.guidance = guidance

    def weight(self, step, steps):
        return self.guidance.weight(step, steps) or 1e-30

    def mix(self, conditional, null, weight):
        return self.guidance.mix(conditional, null, 0.0 if weight == 1e-30 else weight)


class Counting:
    """A transformer whose sessions tell the batch of each step."""

    def __init__(self, transformer):
        self.transformer = transformer
        self.batches = []

    def begin(self, *args):
        session = self.transformer.begin(*args)
        step = session.step

        def counted(inputs):
            logits = step(inputs)
            self.batches.append(len(logits))
            return logits

        session.step = counted
        return session


def recipe(model, guidance, policy="per_image", sampler="categorical", **params):
    build = plugins().registry.build
    made = build("guidance", guidance, params) if isinstance(guidance, str) else guidance
    return Recipe(
        schedule=model.schedule,
        guidance=made,
        sampler=build("sampler", sampler, {}),
        cache=build("cache", "full", {}),
        attend=build_attention(Slot(name="auto"), plugins().registry),
        random=randomness(policy, [5, 6, 7], model.schedule, model.tokenizer.space.shape, "cpu"),
    )


def run(model, recipe, transformer=None):
    conditioner = model.predictor.conditioner
    condition, null = conditioner(torch.tensor(LABELS)), conditioner(conditioner.null(len(LABELS)))
    transformer = transformer or model.predictor.transformer
    return generate(model.tokenizer, transformer, condition, null, recipe)


def codes_of(states):
    return torch.cat([state.codes for state in states], dim=1)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.mark.parametrize(
    ("guidance", "params", "expected"),
    [
        ("linear", {"scale": 1.5}, [6, 6, 6]),
        ("linear", {"scale": 1.5, "stop": 0.5}, [6, 6, 3]),
        ("constant", {"scale": 1.5, "stop": 0.3}, [6, 3, 3]),
        ("constant", {"scale": 0.0}, [3, 3, 3]),
        ("interval", {"scale": 2.0, "start": 0.0, "stop": 0.3}, [6, 3, 3]),
        ("interval", {"scale": 2.0, "start": 0.4, "stop": 0.6}, [6, 6, 3]),
        ("interval", {"scale": 2.0, "start": 0.9, "stop": 1.0}, [6, 6, 6]),
    ],
)
def test_the_null_branch_runs_up_to_the_last_guided_scale(model, guidance, params, expected):
    counting = Counting(model.predictor.transformer)
    list(run(model, recipe(model, guidance, **params), counting))
    assert counting.batches == expected


@pytest.mark.parametrize("stop", [0.3, 0.6])
def test_dropping_the_null_branch_changes_nothing(model, stop):
    start = stop - 0.2
    interval = plugins().registry.build("guidance", "interval", {"scale": 2.0, "start": start, "stop": stop})
    counting = Counting(model.predictor.transformer)
    whole = codes_of(run(model, recipe(model, Whole(interval)), counting))
    assert counting.batches == [6, 6, 6]
    assert torch.equal(codes_of(run(model, recipe(model, interval))), whole)


def test_guidance_changes_the_codes(model):
    plain = codes_of(run(model, recipe(model, "constant", scale=0.0)))
    guided = codes_of(run(model, recipe(model, "constant", scale=3.0)))
    assert not torch.equal(plain, guided)


def test_the_null_half_is_that_of_each_image_alone(model):
    """Sampling must give each image the logits of its own two teacher-forced passes."""
    states = list(run(model, recipe(model, "constant", scale=2.0, sampler="greedy")))
    codes = [state.codes for state in states]
    conditional = model.logits(LABELS, codes)
    predictor = model.predictor
    with torch.no_grad():
        null = predictor(
            teacher_inputs(model.tokenizer, codes, model.schedule),
            predictor.conditioner.null(3),
            model.schedule,
            build_attention(Slot(name="eager"), plugins().registry),
        )
    mixed = 3 * conditional - 2 * null
    assert torch.equal(torch.cat(codes, dim=1), mixed.argmax(-1))


def test_the_first_codes_do_not_depend_on_what_follows_but_each_scale_on_the_one_before(model):
    def edited(step):
        made = []
        for state in run(model, recipe(model, "linear")):
            made.append(state.codes)
            if state.step == step:
                state.vectors = state.vectors + 1
        return made

    plain = [state.codes for state in run(model, recipe(model, "linear"))]
    late, early = edited(2), edited(0)
    assert all(torch.equal(a, b) for a, b in zip(late, plain, strict=True))
    assert torch.equal(early[0], plain[0])
    assert not torch.equal(early[1], plain[1])


def test_editing_vectors_changes_the_image_so_far(model):
    for state in run(model, recipe(model, "linear")):
        before = state.f_hat
        added = state.vectors
        state.vectors = torch.zeros_like(added)
        without = state.f_hat
        state.vectors = added
        assert torch.equal(state.f_hat, before)
        assert not torch.equal(without, before)
        assert state.images.shape == (3, 3, 16, 16)
        assert state.images.min() >= 0
        assert state.images.max() <= 1
        assert not state.images.requires_grad


def test_each_latent_adds_to_the_one_before(model):
    states = list(run(model, recipe(model, "linear")))
    for before, after in pairwise(states):
        added = model.tokenizer.accumulate(None, after.vectors, after.step, model.schedule)
        assert torch.allclose(after.f_hat, before.f_hat + added, atol=1e-6)


def test_soft_draws_add_a_mixture_of_the_codebook(model):
    for state in run(model, recipe(model, "linear", sampler="gumbel_smooth")):
        assert not torch.allclose(state.vectors, model.tokenizer.embed(state.codes))


def test_a_schedule_of_one_scale():
    model = tiny_model(schedule={"name": "custom", "grids": [4]})
    [state] = run(model, recipe(model, "linear", scale=2.0))
    assert state.codes.shape == (3, 16)
    assert state.images.shape == (3, 3, 16, 16)


def test_the_shared_stream_depends_on_the_batch_and_per_image_does_not(model):
    def first(labels, seeds, policy):
        return model.sample(labels, seed=seeds, random=policy).codes[-1][0]

    alone, beside = ([0], [5]), ([0, 1], [5, 6])
    assert torch.equal(first(*alone, "per_image"), first(*beside, "per_image"))
    assert not torch.equal(first(*alone, "shared"), first(*beside, "shared"))
