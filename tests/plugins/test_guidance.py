import pytest
import torch

from vartk_registry import ParamErrors, VartkError, discover
from vartk_registry.testing import check_guidance

registry = discover(["vartk_plugins.guidance"]).registry


def weights(name, steps, **params):
    guidance = registry.build("guidance", name, params)
    return [guidance.weight(step, steps) for step in range(steps)]


def test_linear_grows_to_the_scale_at_the_last_step():
    assert weights("linear", 5, scale=4.0) == [0, 1, 2, 3, 4]
    assert weights("linear", 2) == [0, 1.5]


def test_a_single_step_is_fully_guided():
    assert weights("linear", 1, scale=3.0) == [3]
    assert weights("interval", 1, scale=3.0, start=0.5) == [3]


def test_constant_is_the_same_at_every_step():
    assert weights("constant", 3, scale=2.0) == [2, 2, 2]


def test_linear_and_constant_stop_after_a_point():
    assert weights("linear", 5, scale=4.0, stop=0.5) == [0, 1, 2, 0, 0]
    assert weights("constant", 5, scale=4.0, stop=0.75) == [4, 4, 4, 4, 0]
    assert weights("constant", 11, scale=1.0, stop=0.3) == [1] * 4 + [0] * 7
    for name in ("linear", "constant"):
        assert weights(name, 5, scale=4.0, stop=1.0) == weights(name, 5, scale=4.0)


def test_interval_includes_both_of_its_ends():
    assert weights("interval", 5, scale=2.0, start=0.25, stop=0.75) == [0, 2, 2, 2, 0]
    assert weights("interval", 11, scale=1.0, start=0.3, stop=0.3) == [0] * 3 + [1] + [0] * 7
    assert weights("interval", 3) == [1.5, 1.5, 1.5]


def test_an_interval_that_ends_before_it_starts_is_refused():
    with pytest.raises(VartkError, match=r"start=0.8 lies after stop=0.2"):
        registry.build("guidance", "interval", {"start": 0.8, "stop": 0.2})


def test_values_out_of_range_are_refused():
    with pytest.raises(ParamErrors, match=r"start=2\.0 is out of range.*at most 1"):
        registry.build("guidance", "interval", {"start": 2.0})
    with pytest.raises(ParamErrors, match="scale"):
        registry.build("guidance", "linear", {"scale": -1.0})


def test_the_mix_moves_away_from_the_null_logits():
    mix = registry.build("guidance", "linear", {}).mix
    mixed = mix(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 0.0]), 0.5)
    assert mixed.tolist() == [0.0, 3.0]  # 1.5 * [1, 2] - 0.5 * [3, 0]


@pytest.mark.parametrize("name", registry.names("guidance"))
def test_guidance_conforms(name):
    check_guidance(registry.build("guidance", name, {}))


def test_a_strength_for_each_scale_whose_last_one_holds():
    guidance = registry.build("guidance", "per_scale", {"scales": [0, 1.5, 3]})
    assert [guidance.weight(step, 5) for step in range(5)] == [0, 1.5, 3, 3, 3]
    for scales in ([], [1, -1]):
        with pytest.raises(VartkError, match="must hold numbers from 0 on"):
            registry.build("guidance", "per_scale", {"scales": scales})
