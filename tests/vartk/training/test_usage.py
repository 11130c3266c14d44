"""The use of codes, counted by hand."""

import pytest
import torch

from vartk.engine.training.usage import CodeUsage
from vartk_registry.interfaces import CodeSpace


def test_usage_and_perplexity_of_a_codebook_by_hand():
    usage = CodeUsage(CodeSpace(4), steps=2)
    usage.update([torch.tensor([[0]]), torch.tensor([[0, 1, 1, 1]])])
    usage.update([torch.tensor([[2]]), torch.tensor([[0, 0, 0, 1]])])
    numbers = usage.compute()
    assert numbers["usage_0"] == 1  # two codes of the two that two tokens could show
    assert numbers["usage_1"] == 0.5  # two codes of four
    assert numbers["usage"] == 0.75
    assert numbers["perplexity_0"] == pytest.approx(2)
    assert numbers["perplexity_1"] == pytest.approx(2)
    # 5 zeros, 4 ones and a two: 2 ** (entropy in bits)
    assert numbers["perplexity"] == pytest.approx(0.5**-0.5 * 0.4**-0.4 * 0.1**-0.1)


def test_bits_count_as_one_code():
    usage = CodeUsage(CodeSpace(2, (3,)), steps=1)
    every = torch.cartesian_prod(*[torch.arange(2)] * 3)
    usage.update([every[None]])
    assert usage.compute()["usage"] == 1
    assert usage.compute()["perplexity"] == pytest.approx(8)
    usage.update([torch.zeros(1, 24, 3, dtype=torch.int64)])
    assert usage.compute()["usage_0"] == 1  # all eight, among 32 tokens
    usage = CodeUsage(CodeSpace(2, (64,)), steps=1)  # more codes than an integer can number
    usage.update([torch.zeros(1, 4, 64, dtype=torch.int64)])
    assert usage.compute()["usage"] == 0.25


def test_a_collapsed_codebook_shows():
    usage = CodeUsage(CodeSpace(100), steps=1)
    usage.update([torch.full((5, 200), 7)])
    assert usage.compute() == {
        "usage": 0.01,
        "usage_0": 0.01,
        "perplexity": pytest.approx(1),
        "perplexity_0": pytest.approx(1),
    }
