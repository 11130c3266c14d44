"""Windows: the parts of a picture of any size that a model of one size draws."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from vartk_registry import VartkError
from vartk_registry.interfaces import Grid

OVERLAP = 0.5
"""The share of a window that its neighbour also covers: what the neighbour sees of it."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a picture in pixels. It may reach past the picture's edges."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, images: torch.Tensor, size: Grid) -> torch.Tensor:
        """Return this part of images [N, 3, H, W] in [0, 1] at a size; their edges continue past them."""
        padding = self._past(images)
        return _resized(F.pad(self.of(images), padding, mode="replicate"), size)

    def cut_mask(self, masks: torch.Tensor, size: Grid) -> torch.Tensor:
        """Return, at a size, 1 for each pixel of the part of which anything is drawn; 0 past the edges."""
        drawn = F.pad(self.of(masks), self._past(masks))
        return (F.adaptive_max_pool2d(drawn, size) > 0).to(masks)

    def _past(self, pictures: torch.Tensor) -> list[int]:
        """Return how far this reaches past the left, right, top and bottom edge of pictures."""
        h, w = pictures.shape[-2:]
        past = (-self.left, self.left + self.width - w, -self.top, self.top + self.height - h)
        return [max(0, side) for side in past]

    def of(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the view of pictures [N, C, H, W] that lies in this window."""
        rows = slice(max(0, self.top), self.top + self.height)
        return pictures[..., rows, max(0, self.left) : self.left + self.width]

    def fitted(self, made: torch.Tensor, picture: Grid) -> torch.Tensor:
        """Return images of the model's size at the window's size, without what is past a picture's edges."""
        h, w = picture
        inside = Window(-min(0, self.top), -min(0, self.left), min(h, self.height), min(w, self.width))
        return inside.of(_resized(made, (self.height, self.width)))


def whole(picture: Grid, size: Grid, *, stretch: bool) -> Window:
    """Return the window that holds a whole picture; unless it is to be stretched, of the model's aspect."""
    h, w = picture
    if stretch:
        return Window(0, 0, h, w)
    scale = max(h / size[0], w / size[1])
    height, width = max(h, round(size[0] * scale)), max(w, round(size[1] * scale))
    return Window((h - height) // 2, (w - width) // 2, height, width)


def tiles(masks: torch.Tensor, size: Grid, shorter: int | None) -> list[Window]:
    """Return overlapping windows that cover what is to be drawn, in drawing order; one if nothing is.

    The next one is always that which shows most of what is known, so that a picture grows from where it is.

    Args:
        masks: [N, 1, H, W], 0 where a picture is known.
        size: the model's, in pixels.
        shorter: the windows' shorter side in pixels; None for the model's own.

    Raises:
        VartkError: the picture is smaller than a window.
    """
    h, w = masks.shape[-2:]
    scale = 1.0 if shorter is None else shorter / min(size)
    height, width = (max(1, round(side * scale)) for side in size)
    if height > h or width > w:
        raise VartkError(
            f"no window of {width}x{height} pixels (width x height) fits into {w}x{h}; give a smaller "
            "window, a larger canvas, or fit=pad"
        )
    places = [(top, left) for top in _starts(h, height) for left in _starts(w, width)]
    found = [Window(top, left, height, width) for top, left in places]
    drawn = (masks > 0).any(0, keepdim=True).float()
    return list(_from_the_known(found, drawn)) or found[:1]


def _from_the_known(windows: list[Window], drawn: torch.Tensor) -> Iterator[Window]:
    """Yield the windows that have something to draw, the one with the least unknown first."""
    left = drawn.clone()
    while todo := [window for window in windows if window.of(left).any()]:
        best = min(todo, key=lambda window: window.of(left).mean().item())
        best.of(left).zero_()
        yield best


def _starts(length: int, window: int) -> list[int]:
    """Return where windows begin along a side, evenly from its start to its end."""
    count = math.ceil((length - window) / max(1, window * (1 - OVERLAP))) + 1
    return [round(i * (length - window) / max(1, count - 1)) for i in range(count)]


def _resized(images: torch.Tensor, size: Grid) -> torch.Tensor:
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return F.interpolate(images, size=size, mode="bicubic", antialias=True).clamp(0, 1)
