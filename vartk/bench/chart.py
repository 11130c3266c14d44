"""The axes of a chart with linear scales."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .svg import COLOURS, GRID, text

TICKS = 5
"""Of an axis."""


@dataclass(frozen=True, slots=True)
class Axes:
    """A place for points: its edges in pixels, and the least and the largest value of both axes."""

    left: float
    right: float
    top: float
    bottom: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point is, in pixels."""
        (x_low, x_high), (y_low, y_high) = self.x_range, self.y_range
        across = self.left + (self.right - self.left) * (x - x_low) / (x_high - x_low)
        return across, self.bottom - (self.bottom - self.top) * (y - y_low) / (y_high - y_low)

    def drawn(self, x_label: str, title: str) -> Iterator[str]:
        """Yield the grid, the ticks, the label of the axis across, and the title above."""
        for i in range(TICKS):
            share = i / (TICKS - 1)
            x, y = (low + (high - low) * share for low, high in (self.x_range, self.y_range))
            across, up = self.place(x, y)
            yield _grid_line(across, across, self.top, self.bottom)
            yield _grid_line(self.left, self.right, up, up)
            yield text(across, self.bottom + 17, short(x), "middle")
            yield text(self.left - 6, up + 4, short(y), "end")
        yield text((self.left + self.right) / 2, self.bottom + 38, x_label, "middle")
        yield text(self.left, self.top - 16, title, size=13)

    def line(self, points: Sequence[tuple[float, float]], colour: str = COLOURS[0]) -> Iterator[str]:
        """Yield a line through points, and a dot at each."""
        places = [self.place(*point) for point in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        for x, y in places:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'


def short(value: float) -> str:
    """Return a number with three digits, or whole."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _grid_line(x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" stroke="{GRID}"/>'


def around(values: Sequence[float]) -> tuple[float, float]:
    """Return a range around values with a margin, also around one value."""
    low, high = min(values), max(values)
    margin = 0.2 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin
