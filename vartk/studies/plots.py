"""Draws the results of studies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..bench.loglog import Series, chart
from ..bench.svg import COLOURS, document, text
from ..scaling import ScalingRun, fit_runs
from ..scaling.plot import plot

WIDTH, HEIGHT, LEGEND = 460, 300, 30
"""Of a chart, and the room of the names above all."""

DATA_NUMBERS = {"fd": "FD of samples", "loss": "validation loss"}
"""What the measure `data` draws; KID may be negative, and has no place on a logarithmic axis."""


def scaling_plot(runs: Sequence[ScalingRun], irreducible: float | None) -> str:
    """Return the laws of runs as an SVG."""
    return plot(runs, fit_runs(runs, irreducible))


def data_plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return an SVG with a column for each group: FD and validation loss by epochs, a line for each share."""
    groups = list(dict.fromkeys(row["group"] for row in rows))
    colours = _colours(dict.fromkeys(f"share {row['share']:g}" for row in rows))
    parts, width = _legend(colours)
    numbers = {name: label for name, label in DATA_NUMBERS.items() if name in rows[0]}
    for column, group in enumerate(groups):
        for line, (name, label) in enumerate(numbers.items()):
            series = [
                Series(
                    share,
                    colour,
                    sorted(
                        (row["epochs"], row[name])
                        for row in rows
                        if (row["group"], f"share {row['share']:g}") == (group, share)
                    ),
                    line=True,
                )
                for share, colour in colours.items()
            ]
            at = (column * WIDTH, LEGEND + line * HEIGHT)
            own = [each for each in series if each.points]
            parts += chart(group, "epochs", label, own, at=at, size=(WIDTH, HEIGHT))
    return document(parts, max(len(groups) * WIDTH, width), LEGEND + len(numbers) * HEIGHT)


def speed_plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return an SVG with a chart for each group: seconds to the first image, by batch."""
    groups = list(dict.fromkeys(row["group"] for row in rows))
    systems = list(dict.fromkeys(row["system"] for row in rows))
    colours = _colours(systems)
    parts, width = _legend(colours)
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
    return document(parts, max(len(groups) * WIDTH, width), LEGEND + HEIGHT)


def _colours(names: Iterable[str]) -> dict[str, str]:
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def _legend(colours: Mapping[str, str]) -> tuple[list[str], float]:
    """Return the parts of a line of names in their colours, and its width."""
    parts: list[str] = []
    x = 62.0
    for name, colour in colours.items():
        parts += [
            f'<rect x="{x:.0f}" y="10" width="11" height="11" fill="{colour}"/>',
            text(x + 16, 20, name),
        ]
        x += 34 + 7 * len(name)
    return parts, x
