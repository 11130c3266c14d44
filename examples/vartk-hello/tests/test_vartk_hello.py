"""The conformance kit, and numbers worked out by hand."""

import pytest
import torch
from vartk_hello.typical import Typical

from vartk_registry import ParamErrors, discover
from vartk_registry.testing import check_component, check_schedule


@pytest.fixture(scope="module")
def registry():
    return discover(["vartk_hello"]).registry


@pytest.mark.parametrize(("kind", "name"), [("schedule", "fibonacci"), ("sampler", "typical")])
def test_the_contract_is_kept(registry, kind, name):
    check_component(registry, kind, name)


@pytest.mark.parametrize(
    ("latent", "grids"),
    [
        ((1, 1), [(1, 1)]),
        ((2, 2), [(1, 1), (2, 2)]),
        ((8, 8), [(1, 1), (2, 2), (3, 3), (5, 5), (8, 8)]),
        ((16, 16), [(1, 1), (2, 2), (3, 3), (5, 5), (8, 8), (13, 13), (16, 16)]),
        ((4, 8), [(1, 1), (1, 2), (2, 3), (2, 5), (4, 8)]),
    ],
)
def test_sides_are_fibonacci_numbers_up_to_the_latent(registry, latent, grids):
    factory = registry.build("schedule", "fibonacci", {})
    assert list(factory(latent).grids) == grids
    check_schedule(factory, latent)


def test_the_least_typical_codes_are_dropped():
    # in bits: the surprises are 1, 2, 3, 3, and their mean 1.75, so the second code is the most typical
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
    assert Typical(0.2).kept(logits).tolist() == [False, True, False, False]
    assert Typical(0.7).kept(logits).tolist() == [True, True, False, False]
    assert Typical(0.8).kept(logits).tolist() == [True, True, True, False]
    assert Typical(1.0).kept(logits).tolist() == [True, True, True, True]


def test_a_mass_out_of_range_is_refused(registry):
    with pytest.raises(ParamErrors, match="above 0 and at most 1"):
        registry.build("sampler", "typical", {"mass": 0})
