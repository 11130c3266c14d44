"""Draws what `vartk bench attention` measured, as SVG: a roofline for each dtype, and bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from ..svg import COLOURS, GREY, GRID, document, text

WIDTH, MARGIN = 860, 20
ROOF_HEIGHT, ROOF_LEFT, ROOF_TOP, ROOF_BOTTOM = 380, 76, 40, 48
"""Of a roofline: its height, and the room around its axes."""
BAR, GROUP, NAMES, VALUES = 16, 26, 96, 170
"""Of the bars: their pitch, the room above a group, and that for names and for values beside them."""

Row = Mapping[str, Any]


def plot(result: Mapping[str, Any]) -> str:
    """Return an SVG of a result: a point and a bar for each case and backend that was timed."""
    rows = result["rows"]
    names = list(dict.fromkeys(row["backend"] for row in rows))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    parts, y = list(_legend(colours)), 56
    for dtype, peak in result["peak_flops"].items():
        timed = [row for row in rows if row["case"]["dtype"] == dtype and "seconds" in row]
        parts += _roofline(timed, dtype, peak, result["bandwidth"], colours, y)
        y += ROOF_HEIGHT
    bars, height = _bars(rows, colours, y)
    return document([*parts, *bars], WIDTH, y + height)


def _legend(colours: Mapping[str, str]) -> Iterator[str]:
    x = MARGIN
    for name, colour in colours.items():
        yield f'<rect x="{x}" y="12" width="11" height="11" fill="{colour}"/>'
        yield text(x + 16, 22, name)
        x += 34 + 7 * len(name)
    x = MARGIN
    for kind, label in (
        ("forward", "training, forward"),
        ("both", "training, forward + backward"),
        ("step", "cached step"),
    ):
        yield _marker(kind, x + 6, 40, GREY, label)
        yield text(x + 16, 44, label)
        x += 40 + 7 * len(label)


def _roofline(
    rows: Sequence[Row], dtype: str, peak: float, bandwidth: float, colours: Mapping[str, str], top: float
) -> Iterator[str]:
    """Yield the parts of a chart with logarithmic axes: FLOP a byte, and TFLOP/s."""
    ridge = peak / bandwidth
    points = [(_intensity(row), row["flops_per_second"], row) for row in rows]
    xs, ys = [x for x, _, _ in points], [y for _, y, _ in points]
    x_low, x_high = _decades([*xs, ridge])
    y_low, y_high = _decades([*ys, peak])
    right, base = WIDTH - MARGIN, top + ROOF_HEIGHT - ROOF_BOTTOM

    def x_of(value: float) -> float:
        return ROOF_LEFT + (right - ROOF_LEFT) * math.log(value / x_low) / math.log(x_high / x_low)

    def y_of(value: float) -> float:
        return base - (base - top - ROOF_TOP) * math.log(value / y_low) / math.log(y_high / y_low)

    yield text(MARGIN, top + 18, f"Roofline, {dtype}", size=15)
    yield from _grid(x_low, x_high, x_of, lambda x: (x, x, top + ROOF_TOP, base))
    yield from _grid(y_low, y_high, y_of, lambda y: (ROOF_LEFT, right, y, y))
    for value in _powers(x_low, x_high):
        yield text(x_of(value), base + 17, f"{value:g}", "middle")
    for value in _powers(y_low, y_high):
        yield text(ROOF_LEFT - 6, y_of(value) + 4, f"{value / 1e12:g}", "end")
    yield text((ROOF_LEFT + right) / 2, base + 36, "FLOP per byte of q, k, v and the output", "middle")
    middle = (top + ROOF_TOP + base) / 2
    yield text(MARGIN + 4, middle, "TFLOP/s", "middle", turned=True)
    start = max(x_low, y_low / bandwidth)
    roof = [(start, start * bandwidth), (ridge, peak), (x_high, peak)]
    path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in roof)
    yield f'<polyline points="{path}" fill="none" stroke="{GREY}" stroke-width="1.5"/>'
    yield text(right, y_of(peak) - 7, f"matrix products: {peak / 1e12:.3g} TFLOP/s", "end", GREY)
    yield text(
        ROOF_LEFT + 8,
        top + ROOF_TOP + 14,
        f"slope: copying memory, {bandwidth / 1e9:.3g} GB/s",
        "start",
        GREY,
    )
    for x, y, row in points:
        label = f"{row['case']['name']}: {row['backend']} {y / 1e12:.3g} TFLOP/s"
        yield _marker(_kind(row["case"]), x_of(x), y_of(y), colours[row["backend"]], label)


def _grid(
    low: float, high: float, place: Callable[[float], float], ends: Callable[[float], tuple[float, ...]]
) -> Iterator[str]:
    for value in _powers(low, high):
        x1, x2, y1, y2 = ends(place(value))
        yield f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" stroke="{GRID}"/>'


def _bars(rows: Sequence[Row], colours: Mapping[str, str], top: float) -> tuple[list[str], float]:
    """Return the bars of TFLOP/s, case by case, and their height."""
    most = max((row["flops_per_second"] for row in rows if "seconds" in row), default=1.0)
    room = WIDTH - 2 * MARGIN - NAMES - VALUES
    parts = [text(MARGIN, top + 18, "TFLOP/s, and the share of the peak of matrix products", size=15)]
    y = top + 28
    for name, group in groupby(rows, key=lambda row: row["case"]["name"]):
        parts.append(text(MARGIN, y + 18, name))
        y += GROUP
        for row in group:
            parts.append(text(MARGIN + NAMES - 8, y + 11, row["backend"], "end", GREY))
            left = MARGIN + NAMES
            if "seconds" not in row:
                why = "does not run here" if "refused" in row else "wrong result"
                parts.append(text(left + 2, y + 11, why, colour="#999"))
            else:
                rate, length = row["flops_per_second"], room * row["flops_per_second"] / most
                colour = colours[row["backend"]]
                parts.append(
                    f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{BAR - 4}" fill="{colour}"/>'
                )
                value = f"{rate / 1e12:.3g} TFLOP/s, {row['peak_share']:.0%}"
                parts.append(text(left + length + 6, y + 11, value))
            y += BAR
    return parts, y - top + MARGIN


def _kind(case: Mapping[str, Any]) -> str:
    if case["shape"] != "training":
        return "step"
    return "forward" if case["pass"] == "forward" else "both"


def _marker(kind: str, x: float, y: float, colour: str, label: str) -> str:
    """Return a circle, a square or a triangle with a label that shows under the mouse."""
    shape = {
        "forward": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"',
        "both": f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"',
        "step": f'<path d="M{x - 5:.1f},{y + 4:.1f} h10 l-5,-9 z"',
    }[kind]
    tag = shape[1 : shape.index(" ")]
    return (
        f'{shape} fill="{colour}" fill-opacity="0.75" stroke="white"><title>{escape(label)}</title></{tag}>'
    )


def _intensity(row: Row) -> float:
    return row["case"]["flops"] / row["case"]["bytes"]


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """Return powers of ten that hold positive numbers between them."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)) + 0.05)
    return 10.0**low, 10.0 ** max(high, low + 1)


def _powers(low: float, high: float) -> list[float]:
    """Return the powers of ten from one to another."""
    return [10.0**n for n in range(round(math.log10(low)), round(math.log10(high)) + 1)]
