"""Product quantisation: each part of a vector against its own codebook."""

import pytest
import torch

from vartk_registry import VartkError, discover
from vartk_registry.testing import check_component

REGISTRY = discover(["vartk_plugins.vq"]).registry


def build(dim=4, **params):
    return REGISTRY.build("quantizer", "pq", {"branches": 2, "classes": 2, **params}, dim=dim)


@pytest.fixture
def quantizer():
    """Two codebooks: (0, 0), (1, 1) and (0, 0), (2, 2)."""
    quantizer = build()
    for part, top in zip(quantizer.parts, (1.0, 2.0), strict=True):
        part.codebook.weight.data = torch.tensor([[0.0, 0.0], [top, top]])
    return quantizer


def test_it_keeps_the_contract():
    check_component(REGISTRY, "quantizer", "pq")


def test_each_part_has_the_nearest_entry_of_its_own_codebook(quantizer):
    vectors = torch.tensor([[0.9, 0.8, 0.9, 0.8], [0.2, 0.1, 1.5, 1.2]])
    quantized = quantizer(vectors)
    assert quantized.codes.tolist() == [[1, 0], [0, 1]]
    assert quantized.vectors.tolist() == [[1, 1, 0, 0], [0, 0, 2, 2]]
    assert torch.equal(quantizer.embed(quantized.codes), quantized.vectors)


def test_the_mean_under_weights_is_taken_part_by_part(quantizer):
    assert quantizer.mix(torch.tensor([[0.5, 0.5], [0.25, 0.75]])).tolist() == [0.5, 0.5, 1.5, 1.5]


def test_dead_entries_of_a_part_restart_alone():
    torch.manual_seed(0)
    quantizer = build(classes=4, restart_below=0.5)
    vectors = torch.randn(64, 4)
    quantizer.parts[1].codebook.weight.data[3] = 100.0
    before = quantizer.parts[1].codebook.weight.data.clone()
    quantizer(vectors)
    changed = (quantizer.parts[1].codebook.weight != before).any(-1)
    assert changed[3]
    rows = quantizer.parts[1].codebook.weight[3]
    assert (vectors[:, 2:] == rows).all(-1).any()  # it is now a part of one of the vectors


def test_a_width_that_cannot_be_cut_is_refused():
    with pytest.raises(VartkError, match=r"width 5 cannot be cut into branches=2 .*multiple of 2"):
        build(dim=5)
