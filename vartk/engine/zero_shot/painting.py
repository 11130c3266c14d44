"""Draws under masks in pictures of any size, a window at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from vartk_registry import VartkError, shown
from vartk_registry.interfaces import Grid

from ..arguments import as_choice, is_count
from ..samples import Samples
from ..scale import ScaleState
from .windows import Window, tiles, whole

FITS = ("pad", "stretch", "tile")

Paint = Callable[..., Samples]
"""Draws under masks [N, 1, h, w] in images [N, 3, h, w] in [-1, 1] of the model's size; also takes `seed` and
`watch`, as `Model.sample` does."""

APART = 1_000_003
"""A window's seeds are those of the one before plus this, for equal seeds would draw equal textures."""


def windows_for(masks: torch.Tensor, size: Grid, fit: str, shorter: int | None) -> list[Window]:
    """Return the windows of pictures with masks [N, 1, H, W] for a model of a size, in drawing order.

    Raises:
        VartkError: there is no such fit, no window fits into the picture, or one is given for another fit.
    """
    as_choice("fit", fit, FITS)
    if shorter is not None and not is_count(shorter, 1):
        raise VartkError(
            f"window={shown(shorter)} is no size; give the shorter side in pixels, as in window=256"
        )
    if shorter is not None and fit != "tile":
        raise VartkError(f"window={shorter} has no effect with fit={fit}; give fit=tile, or leave it out")
    if fit == "tile":
        return tiles(masks, size, shorter)
    return [whole(masks.shape[-2:], size, stretch=fit == "stretch")]


@dataclass(frozen=True, slots=True)
class Painter:
    """Draws under masks in pictures, window by window; each window sees what the ones before have drawn.

    Args:
        paint: draws in one window.
        size: the model's, in pixels.
        pasted: whether pixels stay where a mask is 0; else a window takes the place of what was there.
    """

    paint: Paint
    size: Grid
    pasted: bool

    def __call__(
        self,
        images: torch.Tensor,
        masks: torch.Tensor,
        windows: Sequence[Window],
        seeds: Sequence[int],
        watch: Callable[[float, ScaleState], None] | None = None,
    ) -> Samples:
        """Return pictures [N, 3, H, W]; `images` are in [-1, 1]. The codes are those of a single window."""
        canvas, left = (images + 1) / 2, masks.clone()
        made: Samples | None = None
        for turn, window in enumerate(windows):
            made = self.paint(
                window.cut(canvas, self.size) * 2 - 1,
                window.cut_mask(left, self.size),
                seed=[seed + turn * APART for seed in seeds],
                watch=None if watch is None else _part_of(watch, turn, len(windows), len(images)),
            )
            drawn = window.fitted(made.images.to(canvas), canvas.shape[-2:])
            part, weight = window.of(canvas), window.of(left)
            part.copy_(torch.where(weight == 0, part, part.lerp(drawn, weight)) if self.pasted else drawn)
            weight.zero_()
        return replace(
            made, images=canvas.cpu(), seeds=list(seeds), codes=made.codes if len(windows) == 1 else []
        )


def _part_of(
    watch: Callable[[float, ScaleState], None], turn: int, turns: int, count: int
) -> Callable[[float, ScaleState], Any]:
    """Return what to call while one of several windows is drawn, with the images done over all of them."""
    return lambda done, state: watch((turn * count + done) / turns, state)
