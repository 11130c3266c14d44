import copy
import math

import pytest
import torch
from tiny_tokenizer import SCHEDULE, build_tokenizer, smooth_images, train
from torch import distributed
from torch.utils._python_dispatch import TorchDispatchMode

from vartk_plugins.vq import quantizer as module
from vartk_registry import ParamErrors, discover
from vartk_registry.interfaces import CodeSpace
from vartk_registry.testing import check_component

REGISTRY = discover(["vartk_plugins.vq"]).registry


def build(name, entries, **params):
    codebook = torch.tensor(entries)
    quantizer = REGISTRY.build("quantizer", name, {"classes": len(codebook), **params}, dim=codebook.shape[1])
    quantizer.codebook.weight.data.copy_(codebook)
    return quantizer


ENTRIES = [[3.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]
VECTORS = torch.tensor([[[0.5, 0.0], [3.0, 0.5], [-0.1, 0.2]]])


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        # squared distances: 6.25 1.25 3.25 | 0.25 9.25 18.25 | 9.65 0.65 2.25
        ("vq", [[1, 0, 1]]),
        # cosines: 1 0 -0.71 | 0.99 0.16 -0.81 | -0.45 0.89 -0.32
        ("vq-cosine", [[0, 0, 1]]),
    ],
)
def test_codes_are_the_nearest_entries_and_vectors_are_the_raw_ones(name, codes):
    quantizer = build(name, ENTRIES)
    quantized = quantizer(VECTORS)
    assert quantizer.space == CodeSpace(3)
    assert quantizer.dim == 2
    assert quantized.codes.tolist() == codes
    assert quantized.vectors.tolist() == [[ENTRIES[code] for code in codes[0]]]
    assert quantized.penalty == 0
    assert torch.equal(quantizer.embed(quantized.codes), quantized.vectors)


@pytest.mark.parametrize("name", ["vq", "vq-cosine"])
def test_gradients_reach_the_codebook_alone(name):
    quantizer = build(name, ENTRIES)
    vectors = VECTORS.clone().requires_grad_()
    quantizer(vectors).vectors.sum().backward()
    assert vectors.grad is None
    assert quantizer.codebook.weight.grad.abs().sum() == 6


@pytest.mark.parametrize("name", ["vq", "vq-cosine"])
def test_the_search_in_parts_agrees_with_all_pairs(name, monkeypatch):
    random = torch.Generator().manual_seed(0)
    vectors = torch.randn(5, 7, 4, generator=random)
    quantizer = build(name, torch.randn(16, 4, generator=random).tolist())
    codebook = quantizer.codebook.weight
    if name == "vq":
        expected = torch.cdist(vectors.double(), codebook.double()).argmin(-1)
    else:
        expected = torch.cosine_similarity(vectors[..., None, :], codebook, dim=-1).argmax(-1)
    monkeypatch.setattr(module, "_SCORES_AT_ONCE", 3 * 16)
    assert torch.equal(quantizer(vectors).codes, expected)


@pytest.mark.parametrize("name", ["vq", "vq-cosine"])
def test_autocast_does_not_coarsen_the_search_or_the_mean(name):
    quantizer = build(name, [[1.0, 1.0], [1.0, 1.001]])  # one number in bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        codes = quantizer(torch.tensor([[1.0, 1.001]])).codes
        mean = quantizer.mix(torch.tensor([0.5, 0.5]))
    assert codes.tolist() == [1]
    assert mean[1].item() == pytest.approx(1.0005, abs=1e-6)


@pytest.mark.parametrize("name", ["vq", "vq-cosine"])
def test_the_contract_holds(name):
    check_component(REGISTRY, "quantizer", name)


def test_mix_is_the_weighted_mean():
    mean = build("vq", ENTRIES).mix(torch.tensor([[0.5, 0.25, 0.25]]))
    assert mean.tolist() == [[1.25, 0.0]]


def test_loss_and_its_gradients_by_hand():
    features = torch.tensor([1.0, 0.0], requires_grad=True)
    approximation = torch.tensor([0.0, 0.0], requires_grad=True)
    loss = build("vq", ENTRIES, commitment=0.5).loss(features, approximation)
    loss.backward()
    assert loss.item() == 0.5 + 0.5 * 0.5
    assert features.grad.tolist() == [0.5, 0.0]
    assert approximation.grad.tolist() == [-1.0, 0.0]


def test_code_loss_by_hand_is_float32_for_half_logits():
    quantizer = build("vq", ENTRIES[:2])
    logits = torch.tensor([[[0.0, math.log(3)], [0.0, 0.0]]])
    codes = torch.tensor([[1, 0]])
    right, wrong = -math.log(3 / 4), -math.log(1 / 4)
    plain = quantizer.space.loss(logits, codes, 0.0)
    assert plain.tolist() == [pytest.approx([right, math.log(2)])]
    smooth = quantizer.space.loss(logits, codes, 0.1)
    assert smooth[0, 0].item() == pytest.approx(0.95 * right + 0.05 * wrong)
    assert quantizer.space.loss(logits.bfloat16(), codes, 0.0).dtype == torch.float32


def test_a_codebook_needs_two_entries():
    with pytest.raises(ParamErrors, match="classes=1 is out of range"):
        REGISTRY.build("quantizer", "vq", {"classes": 1}, dim=4)


def test_nothing_is_drawn_or_kept_without_restarts():
    quantizer = build("vq", ENTRIES).train()
    before = torch.get_rng_state()
    quantizer(VECTORS)
    assert torch.equal(torch.get_rng_state(), before)
    assert quantizer.state_dict().keys() == {"codebook.weight"}
    assert quantizer.codebook.weight.tolist() == ENTRIES


def test_dead_entries_become_vectors_of_the_batch():
    quantizer = build("vq", [[0.0], [100.0], [200.0]], restart_below=0.5).train()
    vectors = torch.tensor([[1.0], [2.0]], requires_grad=True)
    quantized = quantizer(vectors)
    assert quantized.vectors.tolist() == [[0], [0]]  # of the codebook as it was
    assert quantizer.codebook.weight[0] == 0  # which the optimizer moves
    assert sorted(quantizer.codebook.weight[1:].flatten().tolist()) == [1, 2]
    assert quantizer.hits.tolist() == pytest.approx([0.01, 0.01 / 3, 0.01 / 3])
    quantized.vectors.sum().backward()
    assert quantizer.codebook.weight.grad.tolist() == [[2], [0], [0]]
    quantizer(vectors)
    assert quantizer.hits.tolist() == pytest.approx([0.0099, *[0.99 * 0.01 / 3 + 0.005] * 2])


def test_the_averages_of_processes_need_the_counts_and_no_vectors(tmp_path, monkeypatch):
    """With torch.distributed, in a world of one process."""
    quantizer = build("vq", torch.eye(3, 8).tolist(), restart_below=0.5).train()
    summed, same = [], []
    monkeypatch.setattr(distributed, "all_reduce", lambda tensor: summed.append(tensor.shape))
    monkeypatch.setattr(distributed, "broadcast", lambda tensor, src: same.append(tensor.shape))
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        quantizer(quantizer.codebook.weight.detach().clone())
        assert summed == [(3, 2)]
        assert same == [(3, 8), (3,)]
    finally:
        distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("vq", {"restart_below": 0.03}),
        ("vq-cosine", {"restart_below": 0.03}),
        ("vq-ema", {}),
        ("pq", {"restart_below": 0.03}),
    ],
)
def test_a_step_of_training_does_not_wait_for_the_device(name, params):
    """No operation reads a number from the device, or has a shape that depends on numbers there."""

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            assert function not in (aten._local_scalar_dense.default, aten.nonzero.default), function
            return function(*args, **(kwargs or {}))

    aten = torch.ops.aten
    quantizer = REGISTRY.build("quantizer", name, {"classes": 32, **params}, dim=8).train()
    vectors = torch.randn(2, 5, 8, requires_grad=True)
    with Watch():
        quantized = quantizer(vectors)
        quantizer.loss(vectors, quantized.vectors).backward()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_vectors_that_are_not_finite_restart_nothing(bad):
    quantizer = build("vq", ENTRIES, restart_below=0.5).train()
    before = copy.deepcopy(quantizer.state_dict())
    quantizer(torch.tensor([[1.0, 0.0], [bad, 0.0]]))
    quantizer.eval()(torch.tensor([[1.0, 0.0]]))
    assert before.keys() == {"codebook.weight", "hits"}
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


@pytest.mark.parametrize("name", ["vq", "vq-cosine"])
def test_a_collapsed_codebook_recovers(name):
    def used(restart_below):
        tokenizer = build_tokenizer("vq", name, {"classes": 32, "restart_below": restart_below})
        with torch.no_grad():  # all but one are far away, and of one direction
            tokenizer.quantizer.codebook.weight[1:] = 100
        losses = train(tokenizer)
        assert losses[-1] < losses[0]
        codes = tokenizer.eval()(smooth_images(), SCHEDULE).codes
        return len(torch.cat(codes, dim=1).unique())

    assert used(0.0) < 10
    assert used(0.03) > 16
