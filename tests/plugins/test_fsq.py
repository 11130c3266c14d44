import math

import pytest
import torch
from tiny_tokenizer import build_tokenizer, train

from vartk_registry import ParamErrors, VartkError, discover
from vartk_registry.interfaces import CodeSpace
from vartk_registry.testing import check_quantizer

REGISTRY = discover(["vartk_plugins.fsq"]).registry


def build(*levels, **params):
    levels = list(levels or [8, 5, 5, 5])
    return REGISTRY.build("quantizer", "fsq", {"levels": levels, **params}, dim=len(levels))


def test_the_contract_holds():
    check_quantizer(REGISTRY.build("quantizer", "fsq", {}, dim=4))
    check_quantizer(build(3, 4))


@pytest.mark.parametrize(
    ("levels", "values", "codes", "vectors"),
    [
        # 2.002 tanh z: 0, 0.40, 0.93, 1.52, -2.00
        (5, [0.0, 0.2, 0.5, 1.0, -9.0], [2, 2, 3, 4, 0], [0.0, 0.0, 0.5, 1.0, -1.0]),
        # 1.5015 tanh(z + 0.3462) - 0.5: 0, 0.53, 1.00, -0.49, -0.73, -2.00
        (4, [0.0, 0.5, 9.0, -0.34, -0.5, -9.0], [2, 3, 3, 2, 1, 0], [0.0, 0.5, 0.5, 0.0, -0.5, -1.0]),
    ],
)
def test_levels_of_one_channel_by_hand(levels, values, codes, vectors):
    quantizer = build(levels)
    quantized = quantizer(torch.tensor(values)[:, None].requires_grad_())
    assert quantized.codes.tolist() == codes
    assert quantized.vectors.flatten().tolist() == vectors
    assert not quantized.vectors.requires_grad
    assert quantized.penalty == 0


def test_the_joint_index_by_hand():
    quantizer = build(5, 4, 3)
    assert quantizer.space == CodeSpace(60)
    # the levels 3, 2 and 0 of 5, 4 and 3
    assert quantizer(torch.tensor([[0.5, 0.0, -9.0]])).codes.tolist() == [3 + 5 * 2]
    assert quantizer.embed(torch.tensor([13])).tolist() == [[0.5, 0.0, -1.0]]


def test_every_code_has_vectors_of_its_own_and_is_reached():
    quantizer = build()
    levels, codes = torch.tensor([8, 5, 5, 5]), torch.arange(1000)
    vectors = quantizer.embed(codes)
    assert quantizer.space == CodeSpace(1000)
    assert len(vectors.unique(dim=0)) == 1000
    assert vectors.abs().max() == 1
    places = (vectors + 1) * (levels // 2)
    assert torch.equal((places * torch.tensor([1, 8, 40, 200])).sum(-1).long(), codes)
    # back through the tanh: places about the middle, over half the range
    reach = 1.001 * (levels - 1) / 2
    even = torch.tensor([0.5, 0.0, 0.0, 0.0])
    reached = ((places - levels // 2 + even) / reach).atanh() - (even / reach).atanh()
    assert torch.equal(quantizer(reached).codes, codes)


def test_it_has_nothing_to_save():
    assert not build().state_dict()


def test_autocast_does_not_coarsen_the_levels_or_the_mean():
    quantizer = build(5)
    with torch.autocast("cpu", torch.bfloat16):
        mean = quantizer.mix(torch.tensor([0.0, 0.001, 0.999, 0.0, 0.0]))
    assert mean.item() == pytest.approx(-0.0005, abs=1e-7)


def test_mix_is_the_weighted_mean():
    assert build(3).mix(torch.tensor([[0.5, 0.25, 0.25]])).tolist() == [[-0.25]]


def test_loss_and_its_gradients_by_hand():
    features = torch.tensor([1.0, 0.0], requires_grad=True)
    approximation = torch.tensor([0.0, 0.0], requires_grad=True)
    loss = build(commitment=0.5).loss(features, approximation)
    loss.backward()
    assert loss.item() == 0.5 + 0.5 * 0.5
    assert features.grad.tolist() == [0.5, 0.0]
    assert approximation.grad.tolist() == [-1.0, 0.0]


def test_code_loss_by_hand():
    loss = build(3).space.loss(torch.tensor([[[0.0, 0.0, math.log(2)]]]), torch.tensor([[2]]), 0.3)
    right, wrong = -math.log(1 / 2), -math.log(1 / 4)
    assert loss.tolist() == [[pytest.approx(0.8 * right + 0.2 * wrong)]]


def test_a_latent_of_another_width_is_told_which_to_take():
    with pytest.raises(VartkError, match=r"4 channels, but the latent has 32; take tokenizer.latent=4, or"):
        REGISTRY.build("quantizer", "fsq", {}, dim=32)


def test_a_channel_needs_three_levels():
    with pytest.raises(ParamErrors, match=r"levels\[1\]=2 is out of range"):
        build(5, 2)


def test_a_tokenizer_learns_with_it():
    losses = train(build_tokenizer("fsq", "fsq", {}, latent=4))
    assert max(losses[-3:]) < min(losses[:2])


def test_compiled_it_is_one_graph_without_a_warning():
    """By Dynamo alone, which needs no compiler."""
    quantizer = build()
    vectors = torch.randn(2, 5, quantizer.dim, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(lambda x: quantizer.embed(quantizer(x).codes), backend="eager", fullgraph=True)
    assert torch.equal(compiled(vectors), quantizer.embed(quantizer(vectors).codes))
