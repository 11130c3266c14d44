"""Out-painting: a picture's place on a larger canvas."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vartk_registry import VartkError, shown
from vartk_registry.interfaces import Grid

from ..arguments import LARGEST_FACTOR, as_choice, is_factor

PLACES = {
    "center": (0.5, 0.5),
    "top": (0.0, 0.5),
    "bottom": (1.0, 0.5),
    "left": (0.5, 0.0),
    "right": (0.5, 1.0),
    "top-left": (0.0, 0.0),
    "top-right": (0.0, 1.0),
    "bottom-left": (1.0, 0.0),
    "bottom-right": (1.0, 1.0),
}
"""The share of the free rows above a picture, and of the free columns left of it."""


def on_canvas(images: torch.Tensor, canvas: Sequence[float], at: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images on a larger canvas, and the masks [N, 1, H, W] of what is to be drawn around them.

    Args:
        images: [N, 3, h, w].
        canvas: its width and height, in those of the images.
        at: a name of `PLACES`.

    Raises:
        VartkError: the canvas is not larger, or there is no such place.
    """
    as_choice("place", at, PLACES)
    h, w = images.shape[-2:]
    if not isinstance(canvas, Sequence) or len(canvas) != 2 or not all(map(is_factor, canvas)):
        raise VartkError(
            f"canvas={shown(canvas)} is no width and height in those of the images; give two numbers up to "
            f"{LARGEST_FACTOR}, as in (2, 1) for twice the width"
        )
    width, height = (round(side * times) for side, times in zip((w, h), canvas, strict=True))
    if width < w or height < h or (width, height) == (w, h):
        raise VartkError(
            f"a canvas of {width}x{height} pixels leaves nothing to draw around {w}x{h}; give a larger one, "
            "as in 2x1 for twice the width"
        )
    down, right = PLACES[at]
    top, left = round((height - h) * down), round((width - w) * right)
    placed = images.new_zeros(*images.shape[:2], height, width)
    masks = images.new_ones(len(images), 1, height, width)
    placed[..., top : top + h, left : left + w] = images
    masks[..., top : top + h, left : left + w] = 0
    return placed, masks


def window_for(picture: Grid, canvas: Grid, size: Grid) -> int:
    """Return the shorter side of the windows of a canvas: the picture's, or the model's if that is larger.

    A window that would not fit into the canvas is as large as fits.
    """
    fitting = min(side / own for side, own in zip(canvas, size, strict=True)) * min(size)
    return int(min(max(min(picture), min(size)), fitting))
