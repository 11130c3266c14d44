"""The tree finds what a search through all entries finds."""

import torch
from vartk_kdtree.quantizer import KdtreeQuantizer


def quantizer(classes=500, dim=4):
    torch.manual_seed(0)
    return KdtreeQuantizer(dim=dim, classes=classes, commitment=0.25)


def test_the_nearest_entry_is_that_of_a_full_search():
    made, vectors = quantizer(), torch.randn(3, 50, 4)
    expected = torch.cdist(vectors, made.entries.weight.detach()).argmin(-1)
    assert torch.equal(made(vectors).codes, expected)


def test_the_tree_follows_a_training_step():
    made, vectors = quantizer(), torch.randn(200, 4)
    made(vectors)
    optimizer = torch.optim.SGD(made.parameters(), lr=50.0)
    made.loss(vectors, made(vectors).vectors).backward()
    optimizer.step()
    expected = torch.cdist(vectors, made.entries.weight.detach()).argmin(-1)
    assert torch.equal(made(vectors).codes, expected)


def test_the_tree_follows_loaded_weights():
    made, vectors = quantizer(), torch.randn(20, 4)
    before = made(vectors).codes
    made.load_state_dict({"entries.weight": made.entries.weight.detach().flip(0).clone()})
    assert torch.equal(made(vectors).codes, 499 - before)
