"""DiverseVAR: dominant directions are damped before blocks of early scales, and lifted after them."""

import math

import pytest
import torch
from tiny import tiny_model

from vartk.engine.diversity import reweighted
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")

STRONG = {"suppress": 1.5, "amplify": 1.0, "scales": [1]}


def test_singular_values_by_hand():
    # 3 and 1 have the shares .9 and .1 of the energy 10
    x = torch.diag(torch.tensor([3.0, 1.0, 0.0]))[None]
    found = reweighted(x, -2.0)
    expected = torch.diag(torch.tensor([3 * math.exp(-1.8), math.exp(-0.2), 0.0]))[None]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("strength", [-4.0, -0.3, 0.7, 4.0])
def test_singular_values_by_a_decomposition(strength):
    torch.manual_seed(0)
    x = torch.randn(3, 6, 10) @ torch.diag(torch.linspace(0.1, 3, 10))
    u, s, v = torch.linalg.svd(x.double(), full_matrices=False)
    s = s * (strength * s**2 / s.square().sum(-1, keepdim=True)).exp()
    expected = (u @ torch.diag_embed(s) @ v).float()
    torch.testing.assert_close(reweighted(x, strength), expected, atol=2e-4, rtol=1e-4)


def test_no_tokens_at_all_stay_nothing():
    assert reweighted(torch.zeros(1, 4, 3), -1.0).eq(0).all()
    x = torch.randn(2, 3, 4)
    assert reweighted(x, 0.0) is x


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def sampled(model, **settings):
    return model.sample([0, 1, 2], **{"precision": "plain", "attention": "eager", **settings})


def test_off_it_changes_nothing_and_on_it_changes_the_scales_from_its_first_on(model):
    full = sampled(model)
    assert torch.equal(sampled(model, diversity={"suppress": 0, "scales": [0]}).images, full.images)
    diverse = sampled(model, diversity=STRONG)
    assert torch.equal(diverse.codes[0], full.codes[0])
    assert not torch.equal(diverse.codes[2], full.codes[2])
    assert diverse.sampling.diversity.suppress == 1.5


def test_the_block_s_input_and_output_are_changed_and_nothing_else(model):
    """The logits of a step, by a transformer whose blocks are called by hand."""
    transformer = model.predictor.transformer
    with torch.no_grad():
        condition = model.predictor.conditioner(torch.tensor([0]))
        vector, prepared = transformer.conditioned(condition)
        first = vector[:, None] + transformer.layout(model.schedule)[:, :1]

        def attend(q, k, v, *, scale, dropout):
            return v  # a single token sees itself alone

        for block in transformer.blocks:
            first = reweighted(block(reweighted(first, -1.5), prepared, attend), 1.0)
        expected = transformer.logits(first, transformer.head_modulate(vector), [(1, 1)])
    seen = []
    greedy = {"guidance": 0, "sampler": "greedy"}
    for state in model.stream([0], diversity={**STRONG, "scales": [0]}, precision="plain", **greedy):
        seen.append(state.codes)
    assert seen[0].item() == expected.argmax().item()


@pytest.mark.parametrize(
    "cache", ["full", "fastvar", {"name": "fastervar", "scales": 1}, "hack", ["sink", "tome"]]
)
def test_it_goes_with_every_sort_of_cache(model, cache):
    plain, diverse = (sampled(model, cache=cache, diversity=each) for each in ({}, STRONG))
    assert torch.equal(plain.codes[0], diverse.codes[0])
    assert not torch.equal(plain.codes[2], diverse.codes[2])


def test_a_recording_is_the_same_and_a_batch_changes_nothing(model):
    settings = {"diversity": STRONG, "precision": "plain", "attention": "eager"}
    expected = model.sample([0, 1], **settings)
    for _ in range(2):
        recorded = model.sample([0, 1], record="always", **settings)
        assert torch.equal(recorded.images, expected.images)
    alone = model.sample([1], seed=1, **settings)
    assert torch.equal(alone.codes[2], expected.codes[2][1:])


def test_with_a_bounded_context():
    model = tiny_model(**{"transformer.context": 1})
    assert not torch.equal(sampled(model).images, sampled(model, diversity=STRONG).images)


def test_scales_that_are_not_there(model):
    with pytest.raises(VartkError, match=r"scales=\[1, 3\] are indices of scales, which here are 0 to 2"):
        sampled(model, diversity={"suppress": 1, "scales": [1, 3]})
