"""The conformance kit, and numbers worked out by hand."""

import pytest
import torch
from vartk_hello.typical import Typical

from vartk_registry import ParamErrors, discover
from vartk_registry.interfaces import CachePlan, Schedule
from vartk_registry.testing import check_cache, check_component, check_schedule


@pytest.fixture(scope="module")
def registry():
    return discover(["vartk_hello"]).registry


@pytest.mark.parametrize(
    ("kind", "name"), [("schedule", "fibonacci"), ("sampler", "typical"), ("cache", "strided")]
)
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


def test_every_second_token_of_a_finished_scale_is_kept(registry):
    schedule = Schedule.of([1, 2, 3])
    plan = CachePlan(
        schedule=schedule,
        layers=1,
        batch=1,
        heads=1,
        head_dim=1,
        scale=1.0,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    state = registry.build("cache", "strided", {"stride": 2}).start(plan)
    seen = []
    for step, (start, stop) in enumerate(schedule.spans):
        k = torch.arange(start, stop, dtype=torch.float32)[None, :, None, None]
        seen.append(state.append(0, step, k, k, -k)[0].flatten().tolist())
    assert seen == [[0], [0, 1, 2, 3, 4], [0, 1, 3, *range(5, 14)]]
    assert state.nbytes() == 2 * 4 * (1 + 2 + 5)  # k and v in fp32


def test_a_stride_of_1_keeps_everything(registry):
    strategy = registry.build("cache", "strided", {"stride": 1})
    assert strategy.lossless
    check_cache(strategy)
