"""What drawings in SVG share."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#7f7f7f")
GREY, GRID = "#555", "#e4e4e4"


def document(parts: Iterable[str], width: float, height: float) -> str:
    """Return a whole SVG of its parts, on white."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"])


def text(
    x: float,
    y: float,
    content: str,
    anchor: str = "start",
    colour: str = "#222",
    size: int = 12,
    turned: bool = False,
) -> str:
    """Return words at a place."""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}"{turn}>'
        f"{escape(content)}</text>"
    )
