"""Unused entries of the codebook become vectors of the coarsest scales."""

import pytest
import torch
from tiny_tokenizer import SCHEDULE, build_tokenizer, smooth_images, train

from vartk_registry import VartkError
from vartk_registry.interfaces import RestartingQuantizer


def build(name="vq", *, scales, **params):
    tokenizer = build_tokenizer("vq", name, {"classes": 64, **params}, restart_scales=scales).train()
    with torch.no_grad():  # all but one are far away
        tokenizer.quantizer.codebook.weight[1:] = 100
    return tokenizer


@pytest.mark.parametrize("name", ["vq", "vq-cosine", "ibq"])
def test_entries_become_vectors_of_the_chosen_scale(name):
    tokenizer = build(name, scales=1, restart_below=0.03)
    seen = []
    tokenizer.quantizer.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].detach()))
    tokenizer(smooth_images(), SCHEDULE)
    entries = tokenizer.quantizer.codebook.weight.detach()
    coarse, middle, fine = (vectors.flatten(0, 1) for vectors in seen)
    fresh = entries[(entries != 100).all(-1)][1:]
    assert len(fresh) == 16  # each of the 4 x 4 vectors, once
    assert sorted(fresh.tolist()) == sorted(coarse.tolist())
    assert not (fresh[:, None] == middle).all(-1).any()
    assert not (fresh[:, None] == fine).all(-1).any()


def test_all_scales_by_default():
    tokenizer = build(scales=0, restart_below=0.03)
    tokenizer(smooth_images(), SCHEDULE)
    assert (tokenizer.quantizer.codebook.weight < 100).all()


def test_evaluation_in_between_changes_nothing():
    ours, theirs = (build(scales=1, restart_below=0.03) for _ in range(2))
    ours.eval()(smooth_images(), SCHEDULE)
    for tokenizer in (ours, theirs):
        torch.manual_seed(0)
        tokenizer.train()(smooth_images(), SCHEDULE)
    assert torch.equal(ours.quantizer.codebook.weight, theirs.quantizer.codebook.weight)


def test_coarse_scales_use_more_codes_after_training():
    def used(**params):
        torch.manual_seed(0)
        tokenizer = build(scales=1, **params)
        losses = train(tokenizer, 10)
        assert losses[-1] < losses[0]
        return len(tokenizer.eval().encode(smooth_images(), SCHEDULE)[0].unique())

    assert used(restart_below=0.5) > 8


@pytest.mark.parametrize(
    ("name", "params"), [("vq", {}), ("simvq", {}), ("pq", {"restart_below": 0.03, "branches": 2})]
)
def test_quantizers_that_restart_nothing_are_refused(name, params):
    with pytest.raises(VartkError, match=r"restart_scales=2 has no effect.*restart_below=0\.03"):
        build_tokenizer("vq", name, params, restart_scales=2)
    assert not isinstance(build_tokenizer("vq", name, params).quantizer, RestartingQuantizer)
