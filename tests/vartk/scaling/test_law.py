"""The fit recovers laws that are known, within its own intervals, and says what points cannot tell."""

import numpy as np
import pytest

from vartk.scaling import fit
from vartk_registry import VartkError

SIZES = np.geomspace(1e5, 1e7, 8)


def drawn(x, scale=20.0, exponent=-0.2, irreducible=1.5, noise=0.003, seed=0):
    random = np.random.default_rng(seed)
    return (scale * x**exponent + irreducible) * np.exp(noise * random.standard_normal(len(x)))


def test_without_noise_the_numbers_come_back():
    law = fit(SIZES, drawn(SIZES, noise=0))
    assert law.exponent == pytest.approx(-0.2, rel=1e-3)
    assert law.irreducible == pytest.approx(1.5, rel=1e-3)
    assert law.scale == pytest.approx(20, rel=1e-2)
    assert law.at(1e9)[0] == pytest.approx(20 * 1e9**-0.2 + 1.5, rel=1e-4)
    assert (law.pearson, law.spearman) == (pytest.approx(-1), -1)


@pytest.mark.parametrize(("irreducible", "given"), [(1.5, None), (1.5, 1.5), (0.0, 0.0)])
def test_intervals_hold_the_true_numbers(irreducible, given):
    held = np.zeros(3)
    for seed in range(20):
        law = fit(SIZES, drawn(SIZES, irreducible=irreducible, seed=seed), given, seed)
        true = -0.2, irreducible, 20 * 1e9**-0.2 + irreducible
        found = law.exponent_interval, law.irreducible_interval, law.at(1e9)[1]
        held += [
            low - 1e-12 <= number <= high + 1e-12 for number, (low, high) in zip(true, found, strict=True)
        ]
        assert law.doubts() == []
    assert (held >= 17).all()  # 95 % intervals: fewer than 17 of 20 has a probability of 1.6 %


def test_an_exponent_equals_that_of_a_straight_line_where_nothing_is_irreducible():
    y = drawn(SIZES, irreducible=0, noise=0.05)
    slope, intercept = np.polyfit(np.log(SIZES), np.log(y), 1)
    law = fit(SIZES, y, irreducible=0)
    assert law.exponent == pytest.approx(slope)
    assert law.scale == pytest.approx(np.exp(intercept))
    residuals = np.log(y) - slope * np.log(SIZES) - intercept
    assert law.noise == pytest.approx(np.sqrt((residuals**2).sum() / (len(y) - 2)))
    assert law.pearson == pytest.approx(np.corrcoef(np.log(SIZES), np.log(y))[0, 1])


def test_intervals_of_a_straight_line_are_those_of_students_t():
    y = drawn(SIZES, irreducible=0, noise=0.05)
    law = fit(SIZES, y, irreducible=0)
    u = np.log(SIZES)
    half = 2.447 * law.noise / np.sqrt(((u - u.mean()) ** 2).sum())  # t of 6 degrees of freedom
    low, high = law.exponent_interval
    assert (high - low) / 2 == pytest.approx(half, rel=0.12)  # 500 draws


def test_points_without_a_trend():
    random = np.random.default_rng(0)
    law = fit(SIZES, 3 + 0.3 * random.standard_normal(8), irreducible=0)
    assert any("no trend can be told" in doubt for doubt in law.doubts())


def test_an_irreducible_term_that_the_points_do_not_show():
    law = fit(SIZES, drawn(SIZES, irreducible=0, noise=0.02))
    assert any("cannot be told from 0" in doubt for doubt in law.doubts())


def test_sizes_that_are_too_close():
    x = np.geomspace(1e6, 2e6, 8)
    assert any("the points span a factor of 2 only" in doubt for doubt in fit(x, drawn(x), 0).doubts())


@pytest.mark.parametrize(
    ("x", "y", "irreducible", "message"),
    [
        (
            [1, 2, 3],
            [3, 2, 1],
            None,
            "3 points cannot tell the 3 numbers.*at least 4, or give the irreducible",
        ),
        ([1, 2], [3, 2], 0.0, "give at least 3$"),
        ([1, 2, 3, 4], [3, 2, 1, -1], 0.0, "positive, finite numbers"),
        ([1, 2, 3, 4], [3, 2, 1, float("nan")], 0.0, "positive, finite numbers"),
        ([5, 5, 5, 5], [4, 3, 2, 1], 0.0, "all points have the same x, 5"),
        ([1, 2, 3, 4], [4, 3, 2, 1], 1.5, r"the irreducible term 1\.5 must be .* the least is 1"),
    ],
)
def test_what_cannot_be_fitted(x, y, irreducible, message):
    with pytest.raises(VartkError, match=message):
        fit(x, y, irreducible)
