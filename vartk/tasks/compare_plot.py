"""A comparison's pictures: quality against time and memory, and the same images by each way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont

from ..bench.svg import COLOURS, GREY, GRID, document, text
from ..images import enlarged, tile, to_pil
from .evaluation_report import SET_NAMES

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 480, 360, 68, 24, 44, 52
"""Of one chart, and the room around its axes."""
TICKS, LINE = 5, 14
"""Of an axis its ticks, and pixels between two names."""
SHOWN = 8
"""Images of each way in a picture, at most."""

Point = tuple[str, float, float]
"""A way's name, its cost, and how far its images are from what they should be: less is better."""


def pareto(result: Mapping[str, Any]) -> str:
    """Return an SVG of quality against seconds and against the bytes of the cache, an image each."""
    label, errors = quality(result)
    parts: list[str] = []
    costs = (
        ("seconds per image", lambda way: way["seconds_per_image"]["median"]),
        ("KV cache per image, MiB", lambda way: way["cache_bytes_per_image"] / 2**20),
    )
    for index, (cost, of) in enumerate(costs):
        ways = {way["name"]: of(way) for way in result["ways"] if way["name"] in errors}
        points = [(name, x, errors[name]) for name, x in ways.items()]
        parts += _chart(points, cost, label, index * WIDTH)
    return document(parts, len(costs) * WIDTH, HEIGHT)


def quality(result: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """Return the best measure of quality there is and each way's number: less is better.

    The first metric of sets; else the perceptual distance to the first way; else the share of other codes.
    """
    ways, feature = result["ways"], result["feature"]
    metrics = [name for name in result.get("real_images", ()) if name not in ("n", "m")]
    if metrics:
        label = f"{SET_NAMES.get(metrics[0], metrics[0])}-{feature}"
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


def _chart(points: Sequence[Point], x_label: str, y_label: str, left: float) -> Iterator[str]:
    """Yield the parts of a chart: costs from 0, quality around what there is."""
    ys = [y for _, _, y in points] or [0.0]
    x_high = 1.15 * max((x for _, x, _ in points), default=0) or 1.0
    margin = 0.2 * (max(ys) - min(ys)) or 0.1 * abs(max(ys)) or 1.0
    y_low, y_high = min(ys) - margin, max(ys) + margin
    start, end, base = left + LEFT, left + WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return start + (end - start) * x / x_high, base - (base - TOP) * (y - y_low) / (y_high - y_low)

    for i in range(TICKS):
        x, y = x_high * i / (TICKS - 1), y_low + (y_high - y_low) * i / (TICKS - 1)
        across, up = place(x, y)
        yield f'<line x1="{across:.1f}" x2="{across:.1f}" y1="{TOP}" y2="{base}" stroke="{GRID}"/>'
        yield f'<line x1="{start}" x2="{end}" y1="{up:.1f}" y2="{up:.1f}" stroke="{GRID}"/>'
        yield text(across, base + 17, f"{x:.3g}", "middle")
        yield text(start - 6, up + 4, f"{y:.3g}", "end")
    yield text((start + end) / 2, base + 38, x_label, "middle")
    yield text(start, TOP - 16, f"{y_label}: less is better", size=13)
    path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for _, x, y in front(points))
    yield f'<polyline points="{path}" fill="none" stroke="{GREY}" stroke-dasharray="4 3"/>'
    order = sorted(enumerate(points), key=lambda item: -item[1][2])
    rows = _apart([place(x, y)[1] + 4 for _, (_, x, y) in order], base)
    for (index, (name, x, y)), row in zip(order, rows, strict=True):
        across, up = place(x, y)
        colour = COLOURS[index % len(COLOURS)]
        yield f'<circle cx="{across:.1f}" cy="{up:.1f}" r="5" fill="{colour}" fill-opacity="0.8"/>'
        beside = (across - 9, "end") if across > (start + end) / 2 else (across + 9, "start")
        yield text(beside[0], row, name, beside[1], colour)


def _apart(rows: Sequence[float], lowest: float) -> list[float]:
    """Return places of names, from the top down, of which none lies on another or below the lowest."""
    down: list[float] = []
    for row in rows:
        down.append(max(row, down[-1] + LINE) if down else row)
    return [
        min(row, lowest - LINE * after) for after, row in zip(reversed(range(len(down))), down, strict=True)
    ]


def strip(images: torch.Tensor) -> torch.Tensor:
    """Return images [N, 3, H, W] side by side, small ones enlarged, as one image."""
    return tile(enlarged(images), columns=len(images))


def strips(images: Mapping[str, torch.Tensor], labels: Sequence[str]) -> Image.Image:
    """Return the images [N, 3, H, W] of each way as a row with its name, under their labels."""
    rows = {name: to_pil(strip(own)) for name, own in images.items()}
    width, height = next(iter(rows.values())).size
    font = ImageFont.load_default(size=13)
    margin, line, gap = 12 + round(max(font.getlength(name) for name in rows)), 24, 4
    canvas = Image.new("RGB", (margin + width + gap, line + len(rows) * (height + gap)), "white")
    draw = ImageDraw.Draw(canvas)
    each = width / len(labels)
    for index, label in enumerate(labels):
        shown = label
        while len(shown) > 1 and font.getlength(shown) > each:
            shown = shown.removesuffix("…")[:-1] + "…"
        draw.text((margin + (index + 0.5) * each, 5), shown, fill="black", font=font, anchor="ma")
    for index, (name, row) in enumerate(rows.items()):
        top = line + index * (height + gap)
        canvas.paste(row, (margin, top))
        draw.text((margin - 6, top + height / 2), name, fill="black", font=font, anchor="rm")
    return canvas


def shown_rows(labels: Sequence[Any]) -> list[int]:
    """Return the indices of the images to show: the first of each label, then others, `SHOWN` at most."""
    firsts = {label: row for row, label in reversed(list(enumerate(labels)))}
    rows = sorted(firsts.values())
    return (rows + [row for row in range(len(labels)) if row not in rows])[:SHOWN]
