"""The codebook begins with the centres of vectors."""

import pytest
import torch

from vartk_plugins.vq import kmeans as module
from vartk_plugins.vq.kmeans import kmeans
from vartk_registry import discover
from vartk_registry.interfaces import FittedQuantizer

REGISTRY = discover(["vartk_plugins.vq"]).registry


def build(name, **params):
    torch.manual_seed(0)
    return REGISTRY.build("quantizer", name, params, dim=2)


def groups(*corners, each=20):
    """Return vectors within 0.5 of corners that lie far from each other."""
    noise = torch.rand(len(corners), each, 2, generator=torch.Generator().manual_seed(1)) - 0.5
    return (torch.tensor(corners)[:, None] + noise).flatten(0, 1)


def reference(vectors, weights, centres, rounds):
    """Lloyd's algorithm with loops."""
    centres = [c.clone() for c in centres]
    for _ in range(rounds):
        nearest = [min(range(len(centres)), key=lambda v: (z - centres[v]).norm()) for z in vectors]
        for v in range(len(centres)):
            own = [i for i, code in enumerate(nearest) if code == v]
            if own:
                total = sum(weights[i] for i in own)
                centres[v] = sum(weights[i] * vectors[i] for i in own) / total
    return torch.stack(centres)


def test_two_groups_by_hand(monkeypatch):
    """The means of 0, 2 and of 10, 12, 14; weights move them to 1.5, and share the weight 4 to 3."""
    vectors, weights = torch.tensor([[0.0], [2.0], [10.0], [12.0], [14.0]]), torch.ones(5)
    centres, shares = kmeans(vectors, weights, 2)
    assert sorted(centres.flatten().tolist()) == [1, 12]
    assert sorted(shares.tolist()) == pytest.approx([0.4, 0.6])
    weights[1] = 3.0
    centres, shares = kmeans(vectors, weights, 2)
    assert sorted(centres.flatten().tolist()) == [1.5, 12]
    assert sorted(shares.tolist()) == pytest.approx([3 / 7, 4 / 7])


def test_it_agrees_with_loops_in_parts_and_at_once(monkeypatch):
    vectors = torch.randn(40, 3, generator=torch.Generator().manual_seed(2))
    weights = torch.rand(40, generator=torch.Generator().manual_seed(3)) + 0.1
    centres, _ = kmeans(vectors, weights, 6)
    monkeypatch.setattr(module, "_DISTANCES_AT_ONCE", 7 * 6)
    torch.testing.assert_close(kmeans(vectors, weights, 6)[0], centres)
    monkeypatch.setattr(module, "_ROUNDS", 0)
    monkeypatch.setattr(module, "_DISTANCES_AT_ONCE", 2**20)
    first, _ = kmeans(vectors, weights, 6)
    assert all((vectors == centre).all(-1).sum() == 1 for centre in first)
    torch.testing.assert_close(reference(vectors, weights, first, 10), centres, atol=1e-5, rtol=0)


def test_heavy_vectors_are_drawn_more_often(monkeypatch):
    """Half of the weight is that of 100 vectors among 1,000, so they get about half of the first centres."""
    monkeypatch.setattr(module, "_ROUNDS", 0)
    vectors = torch.arange(1000.0)[:, None]
    weights = torch.where(torch.arange(1000) < 100, 1 / 100, 1 / 900)
    first, _ = kmeans(vectors, weights, 40)
    assert 12 <= (first < 100).sum() <= 28
    assert len(first.unique()) == 40


def test_nothing_else_is_drawn_and_the_same_comes_out():
    vectors, weights = torch.randn(50, 4), torch.ones(50)
    before = torch.get_rng_state()
    first = kmeans(vectors, weights, 8)
    torch.manual_seed(5)
    assert all(map(torch.equal, kmeans(vectors, weights, 8), first))
    torch.set_rng_state(before)
    kmeans(vectors, weights, 8)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["vq", "vq-cosine", "vq-ema", "simvq", "ibq"])
def test_entries_are_the_centres_of_groups(name):
    quantizer = build(name, classes=3)
    assert isinstance(quantizer, FittedQuantizer)
    quantizer.fit(groups((0.0, 5.0), (5.0, 5.0), (5.0, 0.0)), torch.ones(60))
    codes = quantizer.eval()(torch.tensor([[0.0, 5.0], [5.0, 5.0], [5.0, 0.0]])).codes
    assert sorted(codes.tolist()) == [0, 1, 2]
    found = quantizer.embed(codes)
    torch.testing.assert_close(found, torch.tensor([[0.0, 5.0], [5.0, 5.0], [5.0, 0.0]]), atol=0.2, rtol=0)


def test_simvq_forgets_its_matrix():
    quantizer = build("simvq", classes=2)
    torch.nn.init.normal_(quantizer.map.weight)
    quantizer.fit(groups((0.0, 5.0), (5.0, 0.0)), torch.ones(40))
    torch.testing.assert_close(quantizer.entries().sum(0), torch.tensor([5.0, 5.0]), atol=0.4, rtol=0)


def test_moving_averages_do_not_overwrite_the_centres():
    """Without hits, the next vectors alone would be the entries."""
    quantizer = build("vq-ema", classes=2, decay=0.9, restart_below=0).train()
    quantizer.fit(groups((0.0, 5.0), (5.0, 0.0)), torch.ones(40))
    assert quantizer.hits.tolist() == [0.5, 0.5]
    before = quantizer.codebook.weight.clone()
    quantizer(before + 1.0)
    # hits 0.5, share 0.5: a tenth of the way
    torch.testing.assert_close(quantizer.codebook.weight, before + 0.1)


def test_centres_are_not_dead():
    quantizer = build("vq", classes=2, restart_below=0.5).train()
    quantizer.fit(groups((0.0, 5.0), (5.0, 0.0)), torch.ones(40))
    before = quantizer.codebook.weight.detach().clone()
    quantizer(before[:1].clone())
    assert torch.equal(quantizer.codebook.weight, before)


def test_fewer_vectors_than_entries_leave_the_others():
    quantizer = build("vq", classes=8)
    before = quantizer.codebook.weight.detach().clone()
    vectors = torch.tensor([[3.0, 3.0], [-3.0, 0.0]])
    quantizer.fit(vectors, torch.ones(2))
    assert sorted(quantizer.codebook.weight[:2].tolist()) == sorted(vectors.tolist())
    assert torch.equal(quantizer.codebook.weight[2:], before[2:])


def test_each_part_of_a_product_has_its_own_centres():
    quantizer = build("pq", branches=2, classes=2)
    quantizer.fit(groups((0.0, 5.0), (5.0, 9.0)), torch.ones(40))
    first, second = (sorted(part.codebook.weight.flatten().tolist()) for part in quantizer.parts)
    assert first == pytest.approx([0, 5], abs=0.2)
    assert second == pytest.approx([5, 9], abs=0.2)
