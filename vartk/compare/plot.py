"""A comparison's plot: quality against time and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ..bench.chart import Axes, around
from ..bench.svg import GREY, document, text
from ..evaluation.report import set_name

LEFT, TOP, BOTTOM = 68, 44, 52
"""Of one chart, the room around its axes."""
PLOT, LEAST, LEADER = 460, 264, 48
"""Of one chart, the width and the least height between the axes, and the room for lines to the names."""
LINE = 16
"""Pixels between two names."""
LETTERS, LETTER = 36, 7
"""Of a name, how many are shown, and the pixels that one takes."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
"""Told apart whatever colours one sees: those of Okabe and Ito without yellow, and grey."""
SHAPES = (
    "M-5,0 a5,5 0 1,0 10,0 a5,5 0 1,0 -10,0 z",
    "M-4.5,-4.5 h9 v9 h-9 z",
    "M0,-5.5 L5.5,4.5 H-5.5 z",
    "M0,-6 L6,0 L0,6 L-6,0 z",
    "M0,5.5 L5.5,-4.5 H-5.5 z",
)
"""Markers: with seven colours, 35 ways that differ in both."""
Point = tuple[str, float, float]
"""A way's name, its cost, and how far its images are from what they should be, or another cost."""


def pareto(result: Mapping[str, Any]) -> str:
    """Return an SVG of quality against seconds and, below, against the bytes of the cache, an image each.

    Images of random weights have no quality: the plot then shows the transformer's seconds against the bytes,
    on a CPU those of the processor, which other programs change less.
    """
    costs = {
        "seconds per image": {way["name"]: way["seconds_per_image"]["median"] for way in result["ways"]},
        "KV cache per image, MiB": {
            way["name"]: way["cache_bytes_per_image"] / 2**20 for way in result["ways"]
        },
    }
    if result["weights"] == "random":
        del costs["seconds per image"]
        label, heights = _transformer(result["ways"])
    else:
        label, heights = quality(result)
    parts: list[str] = []
    height = max(LEAST, LINE * len(heights)) + TOP + BOTTOM
    for index, (cost, of) in enumerate(costs.items()):
        points = [(name, of[name], y) for name, y in heights.items()]
        parts += _chart(points, cost, label, index * height, height)
    letters = max((min(len(name), LETTERS) for name in heights), default=0)
    return document(parts, LEFT + PLOT + LEADER + 30 + letters * LETTER, len(costs) * height)


def _transformer(ways: Sequence[Mapping[str, Any]]) -> tuple[str, dict[str, float]]:
    """Return what is known best of the transformer's time, and its seconds by way."""
    if "processor_seconds" in ways[0]:
        found = {way["name"]: way["processor_seconds"]["transformer"] for way in ways}
        return "transformer, processor's seconds per image", found
    return "transformer, seconds per image", {way["name"]: way["transformer_seconds"] for way in ways}


def subject(result: Mapping[str, Any]) -> str:
    """Return what the plot shows, in words."""
    if result["weights"] == "random":
        return "time against the bytes of keys and values"
    return "quality against time and memory"


def quality(result: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """Return the best measure of quality there is and each way's number: less is better.

    The first metric of sets; else the perceptual distance to the first way; else the share of other codes.
    """
    ways, feature = result["ways"], result["feature"]
    metrics = [name for name in result.get("real_images", ()) if name not in ("n", "m")]
    if metrics:
        label = set_name(metrics[0], feature)
        return label, {way["name"]: way[metrics[0]] for way in ways}
    first = ways[0]["name"]
    if feature is not None:
        return f"perceptual distance to {first}", {way["name"]: way["perceptual"] for way in ways}
    alike = {way["name"]: way["codes_alike"] for way in ways if way["codes_alike"] is not None}
    return f"share of codes other than {first}'s", {name: 1 - share for name, share in alike.items()}


def front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other is better than in both respects, by cost."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: point[1:]):
        if not best or point[2] < best[-1][2]:
            best.append(point)
    return best


def _chart(points: Sequence[Point], x_label: str, y_label: str, top: float, height: float) -> Iterator[str]:
    """Yield the parts of a chart: costs from 0, quality around what there is, names beside it."""
    x_high = 1.15 * max((x for _, x, _ in points), default=0) or 1.0
    end, first, base = LEFT + PLOT, top + TOP, top + height - BOTTOM
    axes = Axes(LEFT, end, first, base, (0, x_high), around([y for _, _, y in points] or [0.0]))
    place = axes.place
    yield from axes.drawn(x_label, f"{y_label}: less is better")
    path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for _, x, y in front(points))
    yield f'<polyline points="{path}" fill="none" stroke="{GREY}" stroke-dasharray="4 3"/>'
    order = sorted(enumerate(points), key=lambda item: (-item[1][2], -item[1][1]))
    rows = _apart([place(x, y)[1] for _, (_, x, y) in order], first, base)
    lines, markers = [], []
    for (index, (name, x, y)), row in zip(order, rows, strict=True):
        across, up = place(x, y)
        colour, beside = COLOURS[index % len(COLOURS)], end + LEADER
        lines.append(
            f'<line x1="{across:.1f}" x2="{beside}" y1="{up:.1f}" y2="{row:.1f}" stroke="{colour}" '
            'stroke-opacity="0.6"/>'
        )
        markers += [_marker(index, at, name) for at in ((across, up), (beside, row))]
        shown = name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
        markers.append(text(beside + 10, row + 4, shown))
    yield from (*lines, *markers)


def _marker(index: int, place: tuple[float, float], name: str) -> str:
    """Return the shape and the colour of a way at a place; the name shows under the mouse."""
    shape, colour = SHAPES[index % len(SHAPES)], COLOURS[index % len(COLOURS)]
    return (
        f'<path transform="translate({place[0]:.1f} {place[1]:.1f})" d="{shape}" fill="{colour}" '
        f'fill-opacity="0.8" stroke="white"><title>{escape(name)}</title></path>'
    )


def _apart(rows: Sequence[float], highest: float, lowest: float) -> list[float]:
    """Return places of names, from the top down, near those wanted, within bounds, and `LINE` apart."""
    groups: list[list[float]] = []  # each of the rows that it moves together
    for row in rows:
        groups.append([row])
        while len(groups) > 1 and _first(groups[-2], highest, lowest) + LINE * len(groups[-2]) > _first(
            groups[-1], highest, lowest
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_first(group, highest, lowest) + LINE * i for group in groups for i in range(len(group))]


def _first(group: Sequence[float], highest: float, lowest: float) -> float:
    """Return the place of the first of some rows that stand `LINE` apart around their middle."""
    span = LINE * (len(group) - 1)
    return min(max(sum(group) / len(group) - span / 2, highest), lowest - span)
