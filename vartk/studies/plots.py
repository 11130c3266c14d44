"""Draws the results of studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..bench.loglog import Series, chart
from ..bench.svg import COLOURS, document, text
from ..scaling import ScalingRun, fit_runs
from ..scaling.plot import plot

WIDTH, HEIGHT, LEGEND = 460, 300, 30
"""Of a chart of speed, and the room of the names above all."""


def scaling_plot(runs: Sequence[ScalingRun], irreducible: float | None) -> str:
    """Return the laws of runs as an SVG."""
    return plot(runs, fit_runs(runs, irreducible))


def speed_plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return an SVG with a chart for each group: seconds to the first image, by batch."""
    groups = list(dict.fromkeys(row["group"] for row in rows))
    systems = list(dict.fromkeys(row["system"] for row in rows))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(systems)}
    parts, x = [], 62.0
    for name, colour in colours.items():
        parts += [
            f'<rect x="{x:.0f}" y="10" width="11" height="11" fill="{colour}"/>',
            text(x + 16, 20, name),
        ]
        x += 34 + 7 * len(name)
    for index, group in enumerate(groups):
        series = [
            Series(
                name,
                colour,
                [
                    (float(row["batch"]), row["seconds"]["median"])
                    for row in rows
                    if (row["group"], row["system"]) == (group, name)
                ],
                line=True,
            )
            for name, colour in colours.items()
        ]
        at = (index * WIDTH, LEGEND)
        own = [each for each in series if each.points]
        parts += chart(group, "batch", "seconds to the first image", own, at=at, size=(WIDTH, HEIGHT))
    return document(parts, max(len(groups) * WIDTH, x), LEGEND + HEIGHT)
