"""Draws scaling laws as the VAR paper does: a metric a row, against parameters and against compute."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..bench.loglog import Series, chart
from ..bench.svg import COLOURS, GREY, document
from .fitting import AXES, Laws, by_parameters, curves, measured
from .law import PowerLaw
from .runs import METRICS, ScalingRun

WIDTH, HEIGHT = 430, 270
"""Of one chart."""


def plot(runs: Sequence[ScalingRun], laws: Laws) -> str:
    """Return an SVG with a chart of each metric and axis: runs, the law, and its interval."""
    parts: list[str] = []
    metrics = measured(runs)
    for row, metric in enumerate(metrics):
        metric_name = METRICS[metric]
        for column, (axis, axis_name) in enumerate(AXES.items()):
            law = laws.fitted.get((metric, axis))
            series = [] if law is None else list(_law(law))
            if axis == "parameters":
                series.append(Series("run", COLOURS[0], by_parameters(runs, metric)))
            else:
                series += [
                    Series(name, GREY, points, marks=False, line=True, faint=True)
                    for name, points in curves(runs, metric).items()
                ]
                if law is not None:
                    points = list(zip(law.x.tolist(), law.y.tolist(), strict=True))
                    series.append(Series("envelope", COLOURS[0], points))
            title = metric_name if law is None else f"{metric_name}: exponent {law.exponent:.3g}"
            at = column * WIDTH, row * HEIGHT
            parts += chart(title, axis_name, metric_name, series, at=at, size=(WIDTH, HEIGHT))
    return document(parts, len(AXES) * WIDTH, len(metrics) * HEIGHT)


def _law(law: PowerLaw) -> list[Series]:
    xs = np.geomspace(law.x.min(), law.x.max(), 30).tolist()
    made = [(x, *law.at(x)) for x in xs]
    band = [(x, low, high) for x, _, (low, high) in made]
    line = [(x, value) for x, value, _ in made]
    return [Series("law", COLOURS[1], line, marks=False, line=True, band=band)]
