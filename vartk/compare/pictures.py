"""A comparison's pictures: the same images by each way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont

from ..images import enlarged, tile, to_pil

SHOWN = 8
"""Images of each way in a picture, at most."""


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
