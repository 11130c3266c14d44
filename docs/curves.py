"""Draws curves of a training run: `python docs/curves.py RUN/metrics.jsonl loss val_loss > loss.svg`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 280, 56, 36, 28
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
TICKS = 5


def curves(metrics: Path, names: list[str]) -> str:
    """Return an SVG with a line for each of the names that `metrics` holds, over the steps."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    series = {
        name: [(line["step"], line[name]) for line in lines if line.get(name) is not None] for name in names
    }
    missing = [name for name, points in series.items() if not points]
    if missing:
        known = sorted({name for line in lines for name in line})
        raise SystemExit(f"{metrics} has no {', '.join(missing)}; it has {', '.join(known)}")
    values = [value for points in series.values() for _, value in points]
    last, low, high = max(line["step"] for line in lines), min(values), max(values)
    span = high - low or 1.0

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - 12) * step / last

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value - low) / span

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for i in range(TICKS):
        value, step = low + span * i / (TICKS - 1), last * i / (TICKS - 1)
        parts += [
            f'<line x1="{LEFT}" x2="{WIDTH - 12}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>',
            f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>',
            f'<text x="{x(step):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{step:.0f}</text>',
        ]
    for i, (name, points) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points)
        parts += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>',
            f'<text x="{LEFT + 110 * i}" y="16" fill="{colour}">{name}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    sys.stdout.write(curves(Path(sys.argv[1]), sys.argv[2:]))
