"""Charts with two logarithmic axes, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from .svg import GREY, GRID, text

LEFT, TOP, BOTTOM, RIGHT = 62, 30, 46, 14
"""Of a chart, the room around its axes."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one colour.

    Args:
        name: shows under the mouse at each point.
        marks: whether the points are marked; line: whether they are joined.
        band: the lower and the upper edge of an area, as (x, low, high).
        faint: draw it thin and pale, behind the others.
    """

    name: str
    colour: str
    points: Points
    marks: bool = True
    line: bool = False
    faint: bool = False
    band: Sequence[tuple[float, float, float]] = field(default=())


def chart(
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[Series],
    *,
    at: tuple[float, float],
    size: tuple[float, float],
) -> Iterator[str]:
    """Yield the parts of a chart whose upper left corner is `at`, of a width and a height."""
    xs = [x for each in series for x, _ in each.points] + [b[0] for each in series for b in each.band]
    ys = [y for each in series for _, y in each.points]
    left, top = at[0] + LEFT, at[1] + TOP
    right, base = at[0] + size[0] - RIGHT, at[1] + size[1] - BOTTOM
    x_low, x_high = _room(xs)
    y_low, y_high = _room(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / x_low) / math.log(x_high / x_low)
        up = math.log(min(max(y, y_low), y_high) / y_low) / math.log(y_high / y_low)
        return left + (right - left) * across, base - (base - top) * up

    yield text(at[0] + LEFT, at[1] + 18, title, size=14)
    for value in ticks(x_low, x_high):
        x, _ = place(value, y_low)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{base:.1f}" stroke="{GRID}"/>'
        yield text(x, base + 16, _short(value), "middle", size=11)
    for value in ticks(y_low, y_high):
        _, y = place(x_low, value)
        yield f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>'
        yield text(left - 5, y + 4, _short(value), "end", size=11)
    yield text((left + right) / 2, base + 34, x_label, "middle", GREY)
    yield text(at[0] + 14, (top + base) / 2, y_label, "middle", GREY, turned=True)
    for each in sorted(series, key=lambda each: not each.faint):
        yield from _drawn(each, place)


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two positive ones: powers of ten, or also 2 and 5 times, or finer."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        found = [step * 10.0**n for n in decades for step in steps if low <= step * 10.0**n <= high]
        if len(found) >= 3:
            return found[:: math.ceil(len(found) / 8)]
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    first = math.ceil(low / step)
    return [n * step for n in range(first, math.floor(high / step) + 1)][::2] or [low]


def _room(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis, a little beyond the values."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    if low == high:
        return low / 2, high * 2
    margin = max(high / low, 1.02) ** 0.06
    return low / margin, high * margin


def _drawn(series: Series, place: Callable[[float, float], tuple[float, float]]) -> Iterator[str]:
    colour = series.colour
    if series.band:
        edge = [place(x, high) for x, _, high in series.band]
        edge += [place(x, low) for x, low, _ in reversed(series.band)]
        yield f'<polygon points="{_path(edge)}" fill="{colour}" fill-opacity="0.15"/>'
    placed = [place(*point) for point in series.points]
    if series.line:
        style = 'stroke-width="1" stroke-opacity="0.35"' if series.faint else 'stroke-width="1.8"'
        yield f'<polyline points="{_path(placed)}" fill="none" stroke="{colour}" {style}/>'
    if series.marks:
        for (x, y), (value_x, value_y) in zip(placed, series.points, strict=True):
            label = escape(f"{series.name}: {value_x:.4g}, {value_y:.4g}")
            yield (
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}" stroke="white">'
                f"<title>{label}</title></circle>"
            )


def _path(points: Points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _short(value: float) -> str:
    return f"{value:.3g}" if 1e-3 <= value < 1e4 else f"{value:.0e}".replace("e+", "e").replace("e0", "e")
