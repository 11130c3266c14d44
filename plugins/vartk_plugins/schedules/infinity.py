"""Infinity's scales by aspect ratio and number of pixels (arXiv 2412.04431, appendix).

A list serves all numbers of pixels of its ratio: fewer pixels are its first scales.
"""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry.interfaces import Grid, Schedule

_TALL = {
    1.0: "1 2 4 6 8 12 16 20 24 32 40 48 64",
    1.25: "1 2 3 5x4 10x8 15x12 20x16 25x20 30x24 35x28 45x36 55x44 70x56",
    1.333: "1 2 4x3 8x6 12x9 16x12 20x15 24x18 28x21 36x27 48x36 60x45 72x54",
    1.5: "1 2 3x2 6x4 9x6 15x10 21x14 27x18 33x22 39x26 48x32 63x42 78x52",
    1.75: "1 2 3 7x4 11x6 14x8 21x12 28x16 35x20 42x24 56x32 70x40 84x48",
    2.0: "1 2 4x2 6x3 10x5 16x8 22x11 30x15 38x19 46x23 60x30 74x37 90x45",
    2.5: "1 2 5x2 10x4 15x6 20x8 25x10 30x12 40x16 50x20 65x26 80x32 100x40",
    3.0: "1 2 6x2 9x3 15x5 21x7 27x9 36x12 45x15 54x18 72x24 90x30 111x37",
}
"""The grids, height x width, of each ratio of height to width from 1 on."""

_WIDE = {0.8: 1.25, 0.75: 1.333, 0.666: 1.5, 0.571: 1.75, 0.5: 2.0, 0.4: 2.5, 0.333: 3.0}
"""The ratios below 1, each with the one whose grids it has on their sides."""

_SCALES = {"0.06M": 7, "0.25M": 10, "0.60M": 12, "1M": 13}
"""The number of scales of each number of pixels."""

_WIDER = {tall: wide for wide, tall in _WIDE.items()}
# where two are as near, the first is taken: the taller one of a pair
_RATIOS = [ratio for tall in _TALL for ratio in (tall, _WIDER.get(tall)) if ratio is not None]


def grids_of(ratio: float) -> list[Grid]:
    """Return all grids of one of the 15 ratios, coarse to fine, the last one that of about 1M pixels."""
    tall = [_grid(text) for text in _TALL[_WIDE.get(ratio, ratio)].split()]
    return [(w, h) for h, w in tall] if ratio in _WIDE else tall


def nearest_ratio(ratio: float) -> float:
    """Return the nearest of the 15 ratios of height to width."""
    return min(_RATIOS, key=lambda known: abs(known - ratio))


@dataclass(frozen=True, slots=True)
class Infinity:
    """Makes the schedule of a ratio and a number of pixels; what is not given follows from the latent grid.

    Args:
        ratio, pixels, patch: see `InfinityConfig`.
    """

    ratio: float | None
    pixels: str | None
    patch: int

    def __call__(self, latent: Grid) -> Schedule:
        """Return the schedule; its reference is the ratio's grid of about 1M pixels, whatever `pixels`."""
        h, w = latent
        grids = grids_of(nearest_ratio(h / w if self.ratio is None else self.ratio))
        enlarged = tuple((self.patch * h, self.patch * w) for h, w in grids)
        lengths = _SCALES.values() if self.pixels is None else (_SCALES[self.pixels],)

        def distance(length: int) -> int:
            last_h, last_w = enlarged[length - 1]
            return abs(last_h * last_w - h * w)

        return Schedule(enlarged[: min(lengths, key=distance)], reference=enlarged[-1])

    def latents(self) -> list[Grid]:
        """Return the latent grids at which its schedules end."""
        ratios = _RATIOS if self.ratio is None else [nearest_ratio(self.ratio)]
        lengths = _SCALES.values() if self.pixels is None else [_SCALES[self.pixels]]
        grids = [grids_of(ratio)[length - 1] for ratio in ratios for length in lengths]
        return [(self.patch * h, self.patch * w) for h, w in grids]


def _grid(text: str) -> Grid:
    h, _, w = text.partition("x")
    return int(h), int(w or h)
