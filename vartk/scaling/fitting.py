"""The scaling laws of a set of trainings: each metric against parameters, and against compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vartk_registry import VartkError, counted

from .law import PowerLaw, fit
from .runs import METRICS, ScalingRun

AXES = {"parameters": "parameters", "compute": "training compute, FLOP"}

Curves = Mapping[str, Sequence[tuple[float, float]]]
"""The points (x, y) of each run."""


@dataclass(frozen=True, slots=True)
class Laws:
    """The fitted laws, by metric and axis, and why others could not be fitted."""

    fitted: Mapping[tuple[str, str], PowerLaw]
    refused: Mapping[tuple[str, str], str]


def fit_runs(runs: Sequence[ScalingRun], irreducible: float | None) -> Laws:
    """Fit every metric against every axis.

    Against parameters each run gives its last validation. Against compute the points are the
    compute-optimal envelope: validations that no run has reached with less compute.

    Args:
        irreducible: the term c of every law; None to fit it.

    Raises:
        VartkError: as `measured`.
    """
    fitted, refused = {}, {}
    for metric in measured(runs):
        for axis in AXES:
            points = by_parameters(runs, metric) if axis == "parameters" else envelope(runs, metric)
            try:
                fitted[metric, axis] = fit(*zip(*points, strict=True), irreducible)
            except VartkError as error:
                refused[metric, axis] = str(error)
    return Laws(fitted, refused)


def predict(
    runs: Sequence[ScalingRun], irreducible: float | None, axis: str, x: float
) -> dict[str, dict[str, object]]:
    """Return each metric's value, interval and doubts at a place of an axis.

    Raises:
        VartkError: no metric has a law there.
    """
    laws = fit_runs(runs, irreducible)
    made = {}
    for metric in METRICS:
        law = laws.fitted.get((metric, axis))
        if law is not None:
            value, interval = law.at(x)
            made[metric] = {
                "value": value,
                "interval": list(interval),
                "doubts": [*law.doubts(), *_far(law, x)],
            }
    if not made:
        raise VartkError(next(iter(laws.refused.values())))
    return made


def measured(runs: Sequence[ScalingRun]) -> list[str]:
    """Return the metrics of runs: all of `METRICS` for transformers, the loss for generators.

    Raises:
        VartkError: the runs have different metrics.
    """
    found = {
        run.name: [m for m in METRICS if all(getattr(v, m) is not None for v in run.validations)]
        for run in runs
    }
    first, *_ = found
    for name, metrics in found.items():
        if metrics != found[first]:
            raise VartkError(
                f"{first} has {', '.join(found[first])}, but {name} has {', '.join(metrics)}; a "
                "transformer and a generator have different losses, so fit the runs of each by themselves"
            )
    return found[first]


def by_parameters(runs: Sequence[ScalingRun], metric: str) -> list[tuple[float, float]]:
    """Return (parameters, metric) of each run's last validation, the smallest run first."""
    return sorted((float(run.parameters), getattr(run.validations[-1], metric)) for run in runs)


def curves(runs: Sequence[ScalingRun], metric: str) -> Curves:
    """Return (compute, metric) of all validations of each run."""
    return {run.name: [(v.compute, getattr(v, metric)) for v in run.validations] for run in runs}


def envelope(runs: Sequence[ScalingRun], metric: str) -> list[tuple[float, float]]:
    """Return the validations that no other one reaches with as little compute, by compute.

    It begins where the run of the least compute ends: before that, there may be no run of the best size.
    """
    ends = [run.validations[-1].compute for run in runs]
    points = sorted(point for curve in curves(runs, metric).values() for point in curve)
    best: list[tuple[float, float]] = []
    for compute, value in points:
        if compute >= min(ends) and (not best or value < best[-1][1]):
            best.append((compute, value))
    return best


def _far(law: PowerLaw, x: float) -> list[str]:
    """Return a warning where a place is far from the points."""
    beyond = max(x / law.x.max(), law.x.min() / x)
    if beyond <= 10:
        return []
    return [
        f"the place lies a factor of {beyond:.3g} outside the {counted(len(law.x), 'point')}; the interval "
        "holds only if the same law goes on"
    ]
