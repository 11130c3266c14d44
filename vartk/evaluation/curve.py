"""The curve of reconstructions by the number of scales."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..bench.chart import Axes, around
from ..bench.svg import document

WIDTH, HEIGHT = 560, 260
"""Of one chart."""


def curve(rows: Sequence[Mapping[str, Any]], name_of: Callable[[str], str]) -> str:
    """Return an SVG with a chart for each number that rows of `Partial.rows` have.

    Args:
        name_of: returns what a number is called.
    """
    numbers = [name for name in rows[0] if name not in ("scales", "tokens")]
    parts: list[str] = []
    for index, name in enumerate(numbers):
        points = [(row["scales"], row[name]) for row in rows]
        axes = Axes(
            left=76,
            right=WIDTH - 30,
            top=index * HEIGHT + 44,
            bottom=(index + 1) * HEIGHT - 52,
            x_range=(1, max(2, len(rows))),
            y_range=around([y for _, y in points]),
        )
        parts += [*axes.drawn("scales", name_of(name)), *axes.line(points)]
    return document(parts, WIDTH, len(numbers) * HEIGHT)
