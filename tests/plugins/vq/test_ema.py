import copy
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_tokenizer import build_tokenizer, train
from torch import distributed

from vartk_plugins.vq import quantizer as module
from vartk_registry import ParamErrors, discover
from vartk_registry.interfaces import CodeSpace
from vartk_registry.testing import check_component

ROOT = Path(__file__).parents[3]
REGISTRY = discover(["vartk_plugins.vq"]).registry


def build(entries, **params):
    codebook = torch.tensor(entries)
    quantizer = REGISTRY.build(
        "quantizer", "vq-ema", {"classes": len(codebook), **params}, dim=codebook.shape[1]
    )
    quantizer.codebook.weight.copy_(codebook)
    return quantizer


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


ENTRIES = [[0.0, 0.0], [4.0, 0.0], [9.0, 9.0]]
BATCH = torch.tensor([[1.0, 0.0], [1.0, 2.0], [5.0, 0.0]])
"""Squared distances to the first two entries: 1 9, 5 13, 25 1."""


def test_the_contract_holds():
    check_component(REGISTRY, "quantizer", "vq-ema")


def test_codes_are_the_nearest_entries_of_the_codebook_before_its_update():
    quantizer = build(ENTRIES)
    vectors = BATCH[None].requires_grad_()
    quantized = quantizer(vectors)
    assert quantizer.space == CodeSpace(3)
    assert quantized.codes.tolist() == [[0, 0, 1]]
    assert quantized.vectors.tolist() == [[ENTRIES[0], ENTRIES[0], ENTRIES[1]]]
    assert not quantized.vectors.requires_grad
    assert quantized.penalty == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_vectors_that_are_not_finite_teach_nothing(bad):
    quantizer = build(ENTRIES)
    quantizer(BATCH)
    before = copy.deepcopy(quantizer.state_dict())
    quantizer(torch.tensor([[1.0, 0.0], [bad, 0.0]]))
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


def test_two_updates_by_hand():
    quantizer = build(ENTRIES, decay=0.75, restart_below=0)
    quantizer(BATCH)  # entries without a past become the means of their vectors
    assert quantizer.codebook.weight.tolist() == [[1, 1], [5, 0], [9, 9]]
    assert quantizer.hits.tolist() == pytest.approx([0.25 * 2 / 3, 0.25 / 3, 0])
    quantizer(torch.tensor([[2.0, 1.0]]))
    # m_0 = 0.75 (1, 1) / 6 + 0.25 (2, 1), N_0 = 0.75 / 6 + 0.25: a call weighs as much as another
    assert quantizer.codebook.weight[0].tolist() == pytest.approx([0.625 / 0.375, 0.375 / 0.375])
    assert quantizer.codebook.weight[1:].tolist() == [[5, 0], [9, 9]]
    assert quantizer.hits.tolist() == pytest.approx([0.375, 0.0625, 0])


def test_entries_are_the_papers_ratio_of_averages():
    quantizer = build(random(6, 4).tolist(), decay=0.9, restart_below=0)
    numbers, sums = torch.zeros(6).double(), torch.zeros(6, 4).double()
    for step in range(30):
        batch = random(3, 8, 4, seed=step)
        chosen = torch.nn.functional.one_hot(quantizer(batch).codes.flatten(), 6).double()
        numbers = 0.9 * numbers + 0.1 * chosen.sum(0)
        sums = 0.9 * sums + 0.1 * chosen.T @ batch.flatten(0, 1).double()
    assert (numbers > 0).all()
    torch.testing.assert_close(quantizer.codebook.weight.double(), sums / numbers[:, None], atol=1e-5, rtol=0)


def test_an_entry_unused_for_ever_stays_as_it_is():
    quantizer = build(ENTRIES, decay=0.5, restart_below=0)
    for _ in range(300):  # its hits sink to zero
        quantizer(BATCH[:1])
    assert quantizer.codebook.weight[2].tolist() == [9, 9]


def test_evaluation_changes_nothing():
    quantizer = build(ENTRIES).eval()
    before, drawn = copy.deepcopy(quantizer.state_dict()), torch.get_rng_state()
    with torch.no_grad():
        quantizer(BATCH)
    assert all(map(torch.equal, quantizer.state_dict().values(), before.values()))
    assert torch.equal(torch.get_rng_state(), drawn)


def test_dead_entries_become_vectors_of_the_batch_each_once():
    quantizer = build([[0.0], [100.0], [200.0]], restart_below=0.5)
    quantizer(torch.tensor([[1.0], [2.0]]))
    assert quantizer.codebook.weight[0] == 1.5
    assert sorted(quantizer.codebook.weight[1:].flatten().tolist()) == [1, 2]
    # they count as the mean entry, so that they live a while
    assert quantizer.hits.tolist() == pytest.approx([0.01, 0.01 / 3, 0.01 / 3])


def test_a_new_entry_has_time_to_find_vectors_of_its_own():
    quantizer = build([[0.0], [100.0]], restart_below=0.5)
    quantizer.hits.copy_(torch.tensor([0.999, 0.001]))
    quantizer(torch.tensor([[1.0]]))
    assert quantizer.codebook.weight[1] == 1
    for calls, entry in (
        (30, 1),
        (20, -1),
    ):  # 0.99^41 / 2 is below half the mean, which sinks from 0.75 to 0.5
        for _ in range(calls):
            quantizer(torch.tensor([[-1.0]]))
        assert quantizer.codebook.weight[1] == entry


def test_fewer_vectors_than_dead_entries_replace_the_least_used():
    quantizer = build([[0.0], [100.0], [200.0]], restart_below=0.5)
    quantizer.hits.copy_(torch.tensor([9.0, 0.2, 0.1]))
    quantizer(torch.tensor([[1.0]]))
    assert quantizer.codebook.weight[1:].flatten().tolist() == [100, 1]


def test_restarts_can_be_off():
    quantizer = build([[0.0], [100.0]], restart_below=0)
    quantizer(torch.tensor([[1.0], [2.0]]))
    assert quantizer.codebook.weight.tolist() == [[1.5], [100]]


def test_restarts_follow_the_seed():
    def restarted(seed):
        torch.manual_seed(seed)
        quantizer = build(random(8, 2).tolist(), restart_below=1.0)
        quantizer(random(64, 2, seed=1))
        return quantizer.codebook.weight

    assert torch.equal(restarted(0), restarted(0))
    assert not torch.equal(restarted(0), restarted(1))


def test_the_averages_travel_in_the_state_and_are_not_trained():
    quantizer = build(random(8, 2).tolist())
    quantizer(random(16, 2))
    assert not any(p.requires_grad for p in quantizer.parameters())
    other = build(random(8, 2, seed=1).tolist())
    other.load_state_dict(quantizer.state_dict())
    for one in (quantizer, other):
        torch.manual_seed(0)
        one(random(16, 2, seed=2))
    assert torch.equal(quantizer.codebook.weight, other.codebook.weight)


def test_the_search_in_parts_agrees_with_all_pairs(monkeypatch):
    quantizer = build(random(16, 4).tolist()).eval()
    vectors = random(5, 7, 4, seed=1)
    expected = torch.cdist(vectors.double(), quantizer.codebook.weight.double()).argmin(-1)
    monkeypatch.setattr(module, "_SCORES_AT_ONCE", 3 * 16)
    assert torch.equal(quantizer(vectors).codes, expected)


def test_autocast_does_not_coarsen_the_search_the_update_or_the_mean():
    quantizer = build([[1.0, 1.0], [1.0, 1.001]], restart_below=0)  # one number in bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        codes = quantizer(torch.tensor([[1.0, 1.0009]])).codes
        mean = quantizer.mix(torch.tensor([0.5, 0.5]))
    assert codes.tolist() == [1]
    assert quantizer.codebook.weight[1, 1].item() == pytest.approx(1.0009, abs=1e-6)
    assert mean[1].item() == pytest.approx(1.00045, abs=1e-6)


def test_loss_and_its_gradients_by_hand():
    features = torch.tensor([1.0, 0.0], requires_grad=True)
    approximation = torch.tensor([0.0, 0.0], requires_grad=True)
    loss = build(ENTRIES, commitment=0.5).loss(features, approximation)
    loss.backward()
    assert loss.item() == 0.5 + 0.5 * 0.5
    assert features.grad.tolist() == [0.5, 0.0]
    assert approximation.grad.tolist() == [-1.0, 0.0]


def test_code_loss_by_hand():
    logits = torch.tensor([[[0.0, math.log(3)]]]).bfloat16().float()
    right, wrong = -math.log(3 / 4), -math.log(1 / 4)
    loss = build(ENTRIES[:2]).space.loss(logits, torch.tensor([[1]]), 0.1)
    assert loss.tolist() == [[pytest.approx(0.95 * right + 0.05 * wrong, rel=1e-2)]]


def test_a_share_is_at_most_one():
    with pytest.raises(ParamErrors, match=r"decay=1\.5 is out of range"):
        REGISTRY.build("quantizer", "vq-ema", {"decay": 1.5}, dim=4)


def test_a_tokenizer_learns_with_it():
    tokenizer = build_tokenizer("vq", "vq-ema", {"classes": 32})
    losses = train(tokenizer)
    assert max(losses[-3:]) < min(losses[:2])


RANK_1 = """
import sys, torch
from torch import distributed
from vartk_registry import discover

store, path = sys.argv[1:]
distributed.init_process_group("gloo", store=distributed.FileStore(store, 2), rank=1, world_size=2)
registry = discover(["vartk_plugins.vq"]).registry
states, batch = torch.load(path)
for below, state in states.items():
    params = {"classes": 6, "decay": 0.5, "restart_below": below}
    quantizer = registry.build("quantizer", "vq-ema", params, dim=3)
    quantizer.load_state_dict(state)
    quantizer(batch)
    states[below] = quantizer.state_dict()
distributed.destroy_process_group()
torch.save(states, path)
"""


def test_two_processes_update_as_one(tmp_path):
    start, halves = random(6, 3).tolist(), random(2, 12, 3, seed=1)
    ours = {below: build(start, decay=0.5, restart_below=below) for below in (0.0, 1.0)}
    store, path = str(tmp_path / "store"), tmp_path / "states.pt"
    torch.save(({below: one.state_dict() for below, one in ours.items()}, halves[1]), path)
    sources = os.pathsep.join(str(ROOT / folder) for folder in ("registry", "plugins"))
    other = subprocess.Popen(
        [sys.executable, "-c", RANK_1, store, path],
        env={**os.environ, "PYTHONPATH": sources, "OMP_NUM_THREADS": "1"},
    )
    distributed.init_process_group("gloo", store=distributed.FileStore(store, 2), rank=0, world_size=2)
    try:
        for one in ours.values():
            one(halves[0])
        assert other.wait(60) == 0
    finally:
        other.kill()
        distributed.destroy_process_group()
    theirs = torch.load(path)
    for below, one in ours.items():
        assert all(map(torch.equal, one.state_dict().values(), theirs[below].values()))
    alone = build(start, decay=0.5, restart_below=0)
    alone(halves)
    torch.testing.assert_close(ours[0.0].state_dict(), alone.state_dict())
    assert not torch.allclose(ours[1.0].codebook.weight, alone.codebook.weight)
