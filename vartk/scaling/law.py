"""Power laws with an irreducible term: y = a x^b + c, fitted to measured points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vartk_registry import VartkError, counted

REPLICATES = 500
"""Data sets that are drawn from a fit, and fitted again, for its intervals."""
LEVEL = 0.95
"""The probability with which an interval should hold the true number."""
STEPS = 8
"""Of Gauss and Newton."""

Array = np.ndarray
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """A fitted law y = a x^b + c.

    Attributes:
        x, y: the points.
        scale, exponent, irreducible: the numbers (a, b, c).
        given: whether c was given, and not fitted.
        noise: the standard deviation of the points around the law, of log y.
        pearson: the correlation of log x and log(y - c); spearman: of the ranks of x and y.
        replicates: [R, 3], the law (log of a, b, c) of each data set drawn from this one; their spread gives
            the intervals.
    """

    x: Array
    y: Array
    scale: float
    exponent: float
    irreducible: float
    given: bool
    noise: float
    pearson: float
    spearman: float
    replicates: Array

    def at(self, x: float) -> tuple[float, Interval]:
        """Return y at a place and its interval, without the noise of a single point."""
        log_a, b, c = self.replicates.T
        return self.scale * x**self.exponent + self.irreducible, _interval(
            np.exp(log_a + b * math.log(x)) + c
        )

    @property
    def exponent_interval(self) -> Interval:
        """The interval of b."""
        return _interval(self.replicates[:, 1])

    @property
    def irreducible_interval(self) -> Interval:
        """The interval of c; where c was given, c itself."""
        return _interval(self.replicates[:, 2])

    def doubts(self) -> list[str]:
        """Return what these points cannot tell, a sentence each."""
        said = []
        low, high = self.exponent_interval
        span = self.x.max() / self.x.min()
        if low <= 0 <= high:
            said.append(f"no trend can be told: the exponent's interval, {low:.3g} to {high:.3g}, holds 0")
        elif max(abs(low), abs(high)) > 3 * min(abs(low), abs(high)):
            said.append(f"the exponent is hardly known: it may be anything from {low:.3g} to {high:.3g}")
        if span < 10:
            said.append(f"the points span a factor of {span:.3g} only; a law needs a factor of 10 or more")
        if not self.given:
            least, (low, high) = self.y.min(), self.irreducible_interval
            if low < 0.01 * least:
                said.append(
                    f"the irreducible term cannot be told from 0: it may be anything up to {high:.3g}; give "
                    "it, or measure over a wider range"
                )
        return said


def fit(x: Sequence[float], y: Sequence[float], irreducible: float | None = None, seed: int = 0) -> PowerLaw:
    """Fit y = a x^b + c by least squares of log y.

    Intervals come from a parametric bootstrap. Data sets are drawn from the law, and each is fitted. The
    noise of each data set is drawn, too (a scaled inverse chi-squared variable), so that few points give
    intervals as wide as Student's t.

    Args:
        x, y: positive numbers.
        irreducible: c, from 0 to less than every y; None to fit it, in the same range.
        seed: of the draws.

    Raises:
        VartkError: there are too few points for the number of parameters, some are not positive, all x are
            equal, or the given c is out of range.
    """
    points, values = np.asarray(x, float), np.asarray(y, float)
    parameters = 3 if irreducible is None else 2
    _check(points, values, irreducible, parameters)
    log_x = np.log(points)
    law = _solve(log_x, values[None], irreducible)[0]
    residuals = np.log(values) - _log_of(law[None], log_x)[0]
    freedom = len(points) - parameters
    noise = math.sqrt((residuals**2).sum() / freedom)
    random = np.random.default_rng(seed)
    noises = noise * np.sqrt(freedom / random.chisquare(freedom, (REPLICATES, 1)))
    drawn = _log_of(law[None], log_x) + noises * random.standard_normal((REPLICATES, len(points)))
    log_a, exponent, c = law
    above = np.maximum(values - c, 1e-12 * values)
    return PowerLaw(
        x=points,
        y=values,
        scale=math.exp(log_a),
        exponent=float(exponent),
        irreducible=float(c),
        given=irreducible is not None,
        noise=noise,
        pearson=_correlation(log_x, np.log(above)),
        spearman=_correlation(_ranks(points), _ranks(values)),
        replicates=_solve(log_x, np.exp(drawn), irreducible),
    )


def _check(x: Array, y: Array, irreducible: float | None, parameters: int) -> None:
    if len(x) <= parameters:
        instead = ", or give the irreducible term" if parameters == 3 else ""
        raise VartkError(
            f"{counted(len(x), 'point')} cannot tell the {parameters} numbers of a power law and its noise; "
            f"give at least {parameters + 1}{instead}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (x > 0).all() and (y > 0).all()):
        raise VartkError("a power law needs positive, finite numbers; leave out runs without them")
    if len(set(x.tolist())) < 2:
        raise VartkError(f"all points have the same x, {x[0]:g}; a power law needs different ones")
    if irreducible is not None and not 0 <= irreducible < y.min():
        raise VartkError(
            f"the irreducible term {irreducible:g} must be at least 0 and less than every point; the least "
            f"is {y.min():g}"
        )


def _solve(log_x: Array, y_Rn: Array, irreducible: float | None) -> Array:
    """Return (log a, b, c) of each data set of y: [R, 3]."""
    rows = np.arange(len(y_Rn))
    if irreducible is not None:
        laws, _ = _for_each_c(log_x, y_Rn, np.full((len(y_Rn), 1), irreducible))
        return laws[:, 0]
    least = y_Rn.min(axis=1, keepdims=True)
    low, high = np.zeros_like(least), 0.999 * least
    for _ in range(5):  # a grid, and finer ones around the best
        c_RG = low + (high - low) * np.linspace(0, 1, 21)
        laws, errors = _for_each_c(log_x, y_Rn, c_RG)
        best = errors.argmin(axis=1)
        step = (high - low) / 20
        low, high = np.maximum(laws[rows, best, 2:] - step, 0), laws[rows, best, 2:] + step
        high = np.minimum(high, 0.999 * least)
    return laws[rows, best]


def _for_each_c(log_x: Array, y_Rn: Array, c_RG: Array) -> tuple[Array, Array]:
    """Return the best laws [R, G, 3] with given irreducible terms, and their squared errors [R, G]."""
    y, c, log_y = y_Rn[:, None], c_RG[..., None], np.log(y_Rn)[:, None]
    above = y - np.minimum(c, 0.99 * y.min(axis=2, keepdims=True))
    intercept, slope = _line(log_x, np.log(above), (above / y) ** 2)
    for _ in range(STEPS):
        reducible = np.exp(np.clip(intercept + slope * log_x, -700, 700))
        made = reducible + c
        weight = reducible / made
        target = np.log(reducible) + (log_y - np.log(made)) / np.maximum(weight, 1e-9)
        intercept, slope = _line(log_x, target, weight**2)
    laws = np.concatenate((intercept, slope, c), axis=2)
    errors = ((log_y - _log_of(laws, log_x)) ** 2).sum(axis=2)
    return laws, np.where(np.isfinite(errors), errors, np.inf)


def _line(u_n: Array, z: Array, weight: Array) -> tuple[Array, Array]:
    """Return the intercept and the slope of weighted lines through z [..., n] over u [n]."""
    weight = weight / weight.sum(axis=-1, keepdims=True)
    mean_u, mean_z = (weight * u_n).sum(-1, keepdims=True), (weight * z).sum(-1, keepdims=True)
    spread = (weight * (u_n - mean_u) ** 2).sum(-1, keepdims=True)
    slope = (weight * (u_n - mean_u) * (z - mean_z)).sum(-1, keepdims=True) / np.maximum(spread, 1e-300)
    return mean_z - slope * mean_u, slope


def _log_of(laws: Array, log_x: Array) -> Array:
    """Return log y of laws (log a, b, c) [..., 3] at each x: [..., n]."""
    log_a, b, c = (laws[..., i, None] for i in range(3))
    return np.log(np.exp(np.clip(log_a + b * log_x, -700, 700)) + c)


def _interval(numbers: Array) -> Interval:
    low, high = np.quantile(numbers, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _correlation(a: Array, b: Array) -> float:
    """Return Pearson's correlation; 0 where one of the two does not vary."""
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / size) if size else 0.0


def _ranks(values: Array) -> Array:
    """Return ranks from 0; equal values share the mean of theirs."""
    ranks = np.empty(len(values))
    ranks[values.argsort(kind="stable")] = np.arange(len(values))
    return np.array([ranks[values == value].mean() for value in values])
