"""SimVQ: a fixed codebook times a learned matrix."""

import pytest
import torch
from tiny_tokenizer import SCHEDULE, build_tokenizer, smooth_images, train

from vartk_registry import discover
from vartk_registry.testing import check_component

REGISTRY = discover(["vartk_plugins.vq"]).registry


@pytest.fixture
def quantizer():
    """Entries (1, 0) and (0, 1), and the matrix that doubles the first channel and swaps both."""
    quantizer = REGISTRY.build("quantizer", "simvq", {"classes": 2}, dim=2)
    quantizer.codebook.weight.copy_(torch.eye(2))
    with torch.no_grad():
        quantizer.map.weight.copy_(torch.tensor([[0.0, 1.0], [2.0, 0.0]]))
    return quantizer


def test_the_contract_holds():
    check_component(REGISTRY, "quantizer", "simvq")


def test_codes_are_the_nearest_products(quantizer):
    """The products are (0, 2) and (1, 0)."""
    quantized = quantizer(torch.tensor([[0.1, 1.5], [0.8, 0.1]]))
    assert quantized.codes.tolist() == [0, 1]
    assert quantized.vectors.tolist() == [[0, 2], [1, 0]]
    assert quantizer.mix(torch.tensor([0.5, 0.5])).tolist() == [0.5, 1]


def test_a_gradient_at_one_entry_moves_every_entry(quantizer):
    """d/dW (W e_0) . g is g e_0^T; a step moves entry v by g (e_0 . e_v)."""
    quantizer.codebook.weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
    before = quantizer.entries().detach().clone()
    vectors = torch.tensor([[1.0, 2.0]], requires_grad=True)
    quantized = quantizer(vectors)
    assert quantized.codes.tolist() == [0]
    (quantized.vectors @ torch.tensor([1.0, 3.0])).sum().backward()
    assert quantizer.map.weight.grad.tolist() == [[1, 1], [3, 3]]
    assert quantizer.codebook.weight.grad is None
    assert vectors.grad is None
    with torch.no_grad():
        quantizer.map.weight -= quantizer.map.weight.grad
    moved = before - quantizer.entries()
    assert moved.tolist() == [[2, 6], [1, 3]]  # g (e_0 . e_0) = 2 g, and g (e_0 . e_1) = g


def test_autocast_does_not_coarsen_the_entries(quantizer):
    with torch.no_grad():
        quantizer.map.weight[0, 1] = 1.001
    with torch.autocast("cpu", torch.bfloat16):
        assert quantizer.embed(torch.tensor(1))[0].item() == pytest.approx(1.001)
        assert quantizer.mix(torch.tensor([0.0, 1.0]))[0].item() == pytest.approx(1.001)


def test_a_tokenizer_learns_with_it_and_its_codebook_stays():
    tokenizer = build_tokenizer("vq", "simvq", {"classes": 32})
    before = tokenizer.quantizer.codebook.weight.clone()
    losses = train(tokenizer, 20)
    assert losses[-1] < losses[0] / 2
    assert torch.equal(tokenizer.quantizer.codebook.weight, before)
    assert len(torch.cat(tokenizer.encode(smooth_images(), SCHEDULE), dim=1).unique()) > 16
    again = build_tokenizer("vq", "simvq", {"classes": 32})
    again.load_state_dict(tokenizer.state_dict())
    pairs = zip(*(each.eval().encode(smooth_images(), SCHEDULE) for each in (tokenizer, again)), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
