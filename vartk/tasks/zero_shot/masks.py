"""Reads masks: what is drawn anew in a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image

from vartk_registry import VartkError

from ...images import open_image
from .pictures import Picture, grey

Box = tuple[float, float, float, float]
"""Left, top, right and bottom: pixels, or fractions of the picture where all are at most 1."""


def read_mask(
    picture: Picture,
    mask: Path | None,
    boxes: Sequence[Box],
    event: Callable[[str], None],
) -> torch.Tensor:
    """Return what is drawn anew in a picture, [H, W] from 0 (kept) to 1 (drawn).

    Args:
        mask: a picture, white where it is drawn; grey is between. One of another size is resized, and
            `event` is told so.
        boxes: are drawn in addition. With neither, what is transparent is drawn.

    Raises:
        VartkError: there is no mask, a box lies outside, or nothing would be drawn.
    """
    h, w = picture.size
    if mask is None and not boxes:
        if picture.clear is None:
            raise VartkError(
                "nothing says what is drawn anew; give --mask FILE (white is drawn), "
                "--box LEFT,TOP,RIGHT,BOTTOM, or a picture with transparent parts"
            )
        drawn = picture.clear
    else:
        drawn = torch.zeros(h, w)
    if mask is not None:
        image = open_image(mask).convert("L")
        if image.size != (w, h):
            event(f"{mask} is {image.width}x{image.height} pixels and was resized to the picture's {w}x{h}.")
            image = image.resize((w, h), Image.Resampling.BILINEAR)
        drawn = grey(image)
    for box in boxes:
        left, top, right, bottom = _edges(box, (h, w))
        drawn[top:bottom, left:right] = 1
    if not drawn.any():
        raise VartkError(
            "the mask is black everywhere, so that nothing would be drawn; white parts are drawn anew, black "
            "ones are kept"
        )
    if drawn.all():
        event("The mask covers the whole picture: nothing of it is kept, as with `vartk sample`.")
    return drawn


def _edges(box: Box, size: tuple[int, int]) -> list[int]:
    """Return the edges of a box in pixels."""
    h, w = size
    left, top, right, bottom = box
    if max(box) <= 1:
        left, top, right, bottom = left * w, top * h, right * w, bottom * h
    elif any(side != round(side) for side in box):
        raise VartkError(
            f"--box {_typed(box)} mixes pixels and fractions; give whole pixels, or fractions up to 1"
        )
    edges = [round(side) for side in (left, top, right, bottom)]
    if not (0 <= edges[0] < edges[2] <= w and 0 <= edges[1] < edges[3] <= h):
        raise VartkError(
            f"--box {_typed(box)} is no part of a picture of {w}x{h} pixels; give left,top,right,bottom, as "
            "in --box 0.5,0,1,1 for the right half"
        )
    return edges


def _typed(box: Box) -> str:
    return ",".join(f"{side:g}" for side in box)
