"""Index backpropagation: the gradient of a softmax over all entries."""

import math

import pytest
import torch
from tiny_tokenizer import SCHEDULE, build_tokenizer, smooth_images, train
from torch.nn import functional as F

from vartk_registry import discover
from vartk_registry.testing import check_component

REGISTRY = discover(["vartk_plugins.vq"]).registry


def build(entries, **params):
    codebook = torch.as_tensor(entries)
    params = {"classes": len(codebook), "entropy": 0.0, **params}
    quantizer = REGISTRY.build("quantizer", "ibq", params, dim=codebook.shape[1])
    quantizer.codebook.weight.data.copy_(codebook)
    return quantizer.train()


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_contract_holds():
    check_component(REGISTRY, "quantizer", "ibq")


def test_one_vector_by_hand():
    """Between 0 and 2 at 1/2, temperature 1: the logits differ by 1, so p = 1 / (1 + 1/e) at the first.

    The variance of the entries under p is 4 p (1 - p); it is the gradient at the vector.
    """
    quantizer = build([[0.0], [2.0]], temperature=1.0)
    vector = torch.tensor([[0.5]], requires_grad=True)
    quantized = quantizer(vector)
    assert quantized.differentiable
    assert quantized.codes.tolist() == [0]
    assert quantized.vectors.tolist() == [[0.0]]
    quantized.vectors.sum().backward()
    p = 1 / (1 + math.exp(-1))
    assert vector.grad.item() == pytest.approx(4 * p * (1 - p))
    # at an entry: 1 where it is the nearest, and p_v (e_v - mean) (z - e_v)
    mean = 2 * (1 - p)
    expected = [1 + p * (0 - mean) * 0.5, (1 - p) * (2 - mean) * (0.5 - 2)]
    assert quantizer.codebook.weight.grad.flatten().tolist() == pytest.approx(expected)


def test_gradients_are_those_of_the_closed_form():
    """With G the gradient at the output: Cov_p(e) G / T at the vector, all entries moved by p."""
    temperature, entries, vectors, given = 0.7, random(6, 3), random(4, 3, seed=1), random(4, 3, seed=2)
    quantizer = build(entries, temperature=temperature)
    vectors.requires_grad_()
    quantized = quantizer(vectors)
    (quantized.vectors * given).sum().backward()
    with torch.no_grad():
        p = (-torch.cdist(vectors, entries).square() / (2 * temperature)).softmax(-1)
        along = given @ entries.T  # G . e_v
        pull = p * (along - (p * along).sum(-1, keepdim=True)) / temperature
        hard = F.one_hot(quantized.codes, 6).float()
        at_vectors = pull @ entries
        at_entries = hard.T @ given + pull.T @ vectors - pull.sum(0)[:, None] * entries
    torch.testing.assert_close(vectors.grad, at_vectors, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(quantizer.codebook.weight.grad, at_entries, atol=1e-5, rtol=1e-4)
    assert (quantizer.codebook.weight.grad != 0).all()


def test_gradients_are_those_of_the_papers_one_hot():
    """Autograd through one_hot - stop(p) + p, written out."""
    entries, vectors, given = random(5, 3), random(7, 3, seed=1), random(7, 3, seed=2)
    quantizer = build(entries, temperature=0.5)
    quantizer(vectors.requires_grad_()).vectors.mul(given).sum().backward()
    found = vectors.grad.clone(), quantizer.codebook.weight.grad.clone()
    book, z = entries.clone().requires_grad_(), vectors.detach().clone().requires_grad_()
    logits = -(z[:, None] - book).square().sum(-1)  # 2 temperature is 1
    p = logits.softmax(-1)
    index = F.one_hot(logits.argmax(-1), 5) - p.detach() + p
    ((index @ book) * given).sum().backward()
    torch.testing.assert_close(found[0], z.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[1], book.grad, atol=1e-5, rtol=1e-4)


def test_a_dense_codebook_passes_the_gradient_almost_unchanged():
    """The covariance of entries on a line, under a Gaussian of variance T, is T."""
    quantizer = build(torch.linspace(-2, 2, 401)[:, None], temperature=0.01)
    vector = torch.tensor([[0.123]], requires_grad=True)
    quantizer(vector).vectors.sum().backward()
    assert vector.grad.item() == pytest.approx(1, abs=1e-3)


def test_the_penalty_by_hand():
    """Two vectors, each certain of an entry of its own: entropy 0 for each, log 2 for both."""
    vectors = torch.tensor([[0.0], [2.0]])
    sure = build([[0.0], [2.0]], temperature=0.01, entropy=3.0)(vectors)
    assert sure.penalty.item() == pytest.approx(-3 * math.log(2))
    unsure = build([[0.0], [2.0]], temperature=1e9, entropy=3.0)(vectors)  # log 2 and log 2
    assert unsure.penalty.item() == pytest.approx(0, abs=1e-5)
    assert build([[0.0], [2.0]], temperature=0.01)(vectors).penalty == 0


def test_no_vectors_have_a_penalty_of_zero():
    quantized = build([[0.0], [2.0]], entropy=1.0)(torch.zeros(0, 1))
    assert quantized.penalty == 0
    assert quantized.vectors.shape == (0, 1)


def test_evaluation_passes_no_gradient_and_has_no_penalty():
    quantizer = build([[0.0], [2.0]], entropy=1.0).eval()
    vector = torch.tensor([[0.5]], requires_grad=True)
    quantized = quantizer(vector)
    assert not quantized.differentiable
    assert quantized.penalty == 0
    assert torch.autograd.grad(quantized.vectors.sum(), vector, allow_unused=True) == (None,)


def test_a_restart_in_the_same_step_does_not_disturb_gradients():
    quantizer = build([[0.0], [1.0], [100.0]], temperature=1.0, restart_below=0.5)
    vectors = torch.tensor([[0.1], [0.8], [0.9]], requires_grad=True)
    quantized = quantizer(vectors)
    assert (quantizer.codebook.weight.detach() < 100).all()
    quantized.vectors.sum().backward()
    assert vectors.grad.isfinite().all()


def test_a_tokenizer_learns_with_it_through_its_own_gradient_alone():
    tokenizer = build_tokenizer("vq", "ibq", {"classes": 32})
    losses = train(tokenizer, 20)
    assert losses[-1] < losses[0] / 2
    assert len(torch.cat(tokenizer.encode(smooth_images(), SCHEDULE), dim=1).unique()) > 16
    again = build_tokenizer("vq", "ibq", {"classes": 32})
    again.load_state_dict(tokenizer.state_dict())
    pairs = zip(*(each.eval().encode(smooth_images(), SCHEDULE) for each in (tokenizer, again)), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
