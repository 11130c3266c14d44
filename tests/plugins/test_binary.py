import itertools
import math

import pytest
import torch
from tiny_tokenizer import SCHEDULE, build_tokenizer, smooth_images, train

from vartk_plugins.binary.entropy import entropy_penalty
from vartk_registry import discover
from vartk_registry.interfaces import CodeSpace
from vartk_registry.testing import check_component

REGISTRY = discover(["vartk_plugins.binary"]).registry
NAMES = ["lfq", "bsq"]
each = pytest.mark.parametrize("name", NAMES)


def build(name, dim, **params):
    return REGISTRY.build("quantizer", name, params, dim=dim)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@each
def test_the_contract_holds(name):
    check_component(REGISTRY, "quantizer", name)


@pytest.mark.parametrize(("name", "size"), [("lfq", 1.0), ("bsq", 0.5)])
def test_codes_are_signs(name, size):
    quantizer = build(name, 4)
    quantized = quantizer(torch.tensor([[0.3, -2.0, 0.0, 7.0]]).requires_grad_())
    assert quantizer.space == CodeSpace(2, (4,))
    assert quantized.codes.tolist() == [[1, 0, 0, 1]]
    assert quantized.vectors.tolist() == [[size, -size, -size, size]]
    assert not quantized.vectors.requires_grad
    assert not quantizer.state_dict()


@each
def test_every_code_has_a_vector_that_has_this_code(name):
    quantizer = build(name, 5)
    codes = torch.tensor(list(itertools.product((0, 1), repeat=5)))
    vectors = quantizer.embed(codes)
    assert len(vectors.unique(dim=0)) == 32
    assert torch.equal(quantizer(vectors).codes, codes)
    if name == "bsq":
        torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(32))


def entropy(p):
    return -(p * p.log()).sum(-1)


def joint(vectors, size, temperature):
    """Return the probability of every code of 3 bits, [N, 8], and the codes, [8, 3]."""
    codes = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3)), dtype=torch.float64)
    distances = (vectors[:, None] - size * codes).square().sum(-1)
    return (-distances / temperature).softmax(-1), codes


def test_penalty_of_lfq_is_that_of_the_distribution_over_all_codes():
    vectors = random(6, 3).double()
    p, _ = joint(vectors, 1.0, 2.0)
    expected = 0.5 * (entropy(p).mean() - 0.7 * entropy(p.mean(0))) / 3
    quantizer = build("lfq", 3, entropy=0.5, diversity=0.7, temperature=2.0)
    assert quantizer(vectors.float().view(2, 3, 3)).penalty.item() == pytest.approx(expected.item(), rel=1e-4)


def test_groups_of_bits_are_taken_as_independent():
    p, codes = joint(random(6, 3).double(), 1.0, 2.0)
    pairs = torch.stack([p[:, i : i + 2].sum(1) for i in (0, 2, 4, 6)], dim=1)  # of the first two bits
    last = torch.stack([p[:, codes[:, 2] == bit].sum(1) for bit in (-1, 1)], dim=1)
    expected = (entropy(p).mean() - entropy(pairs.mean(0)) - entropy(last.mean(0))) / 3
    quantizer = build("lfq", 3, entropy=1.0, temperature=2.0, group=2)
    assert quantizer(random(6, 3)).penalty.item() == pytest.approx(expected.item(), rel=1e-4)


def test_penalty_of_bsq_is_on_the_sphere_and_bit_by_bit():
    vectors = 5 * random(6, 3).double()
    p, codes = joint(vectors / vectors.norm(dim=-1, keepdim=True), 3**-0.5, 0.8)
    ones = torch.stack([p[:, codes[:, i] > 0].sum(1).mean() for i in range(3)])
    spread = entropy(torch.stack((ones, 1 - ones), dim=-1)).sum()
    expected = 0.5 * (entropy(p).mean() - 0.7 * spread) / 3
    quantizer = build("bsq", 3, entropy=0.5, diversity=0.7, temperature=0.8)
    assert quantizer(vectors.float()).penalty.item() == pytest.approx(expected.item(), rel=1e-4)


def test_penalty_at_its_extremes():
    sure, unsure = (
        torch.tensor([[50.0, 50.0], [-50.0, 50.0], [50.0, -50.0], [-50.0, -50.0]]),
        torch.zeros(4, 2),
    )
    assert entropy_penalty(sure, 2, 1.0).item() == pytest.approx(-math.log(2))  # every code, each surely
    assert entropy_penalty(sure[:1], 2, 1.0).item() == pytest.approx(0)  # one code alone
    assert entropy_penalty(unsure, 2, 0.5).item() == pytest.approx(0.5 * math.log(2))


@each
@pytest.mark.parametrize("scale", [0.0, 1e-8, 1.0, 1e4])
def test_the_gradient_of_the_penalty_is_finite(name, scale):
    vectors = (scale * random(8, 12)).requires_grad_()
    build(name, 12)(vectors).penalty.backward()
    assert vectors.grad.isfinite().all()
    assert vectors.grad.abs().max() < 100


@each
def test_descending_the_penalty_spreads_the_codes(name):
    quantizer = build(name, 3, temperature=1.0, entropy=1.0)
    vectors = (1 + 0.1 * random(64, 3)).requires_grad_()
    assert len(quantizer(vectors).codes.unique(dim=0)) == 1
    optimizer = torch.optim.Adam([vectors], lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        quantizer(vectors).penalty.backward()
        optimizer.step()
    assert ((quantizer(vectors).codes.float().mean(0) - 0.5).abs() < 0.2).all()


@each
def test_there_is_no_penalty_in_evaluation_or_of_no_weight(name):
    vectors = random(4, 6)
    assert build(name, 6)(vectors).penalty != 0
    assert build(name, 6).eval()(vectors).penalty == 0
    assert build(name, 6, entropy=0)(vectors).penalty == 0


@each
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_penalty_trains_the_encoder(name, weight):
    """Without commitment there is no other way from the quantizer's losses to the encoder."""
    params = {"commitment": 0, "entropy": weight, "temperature": 1.0}
    tokenizer = build_tokenizer("binary", name, params)
    tokenizer(smooth_images(), SCHEDULE).losses["vq"].backward()
    grad = tokenizer.encoder.conv_in.weight.grad
    assert (grad is not None and grad.abs().sum() > 0) == (weight > 0)


def test_mix_is_the_weighted_mean_of_each_bit():
    weights = torch.tensor([[[0.25, 0.75], [1.0, 0.0]]])
    assert build("lfq", 2).mix(weights).tolist() == [[0.5, -1.0]]


def test_loss_and_its_gradients_by_hand():
    features = torch.tensor([1.0, 0.0], requires_grad=True)
    approximation = torch.tensor([0.0, 0.0], requires_grad=True)
    loss = build("bsq", 2, commitment=0.5).loss(features, approximation)
    loss.backward()
    assert loss.item() == 0.5 + 0.5 * 0.5
    assert features.grad.tolist() == [0.5, 0.0]
    assert approximation.grad.tolist() == [-1.0, 0.0]


def test_code_loss_is_the_mean_over_the_bits():
    logits = torch.tensor([[[[0.0, math.log(3)], [math.log(7), 0.0]]]])  # [B=1, n=1, bits=2, 2]
    quantizer = build("lfq", 2)
    losses = quantizer.space.loss(logits, torch.tensor([[[1, 1]]]), 0.0)
    assert losses.tolist() == [[pytest.approx((math.log(4 / 3) + math.log(8)) / 2)]]
    smooth = quantizer.space.loss(logits, torch.tensor([[[1, 0]]]), 0.2)
    first = 0.9 * math.log(4 / 3) + 0.1 * math.log(4)
    second = 0.9 * math.log(8 / 7) + 0.1 * math.log(8)
    assert smooth.tolist() == [[pytest.approx((first + second) / 2)]]


@each
def test_autocast_does_not_coarsen_the_penalty(name):
    quantizer, vectors = build(name, 6), random(5, 6)
    exact = quantizer(vectors).penalty
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(quantizer(vectors).penalty, exact)


@each
def test_a_tokenizer_learns_with_it(name):
    losses = train(build_tokenizer("binary", name, {}))
    assert max(losses[-3:]) < min(losses[:2])
