"""Decoding in tiles: the images of whole decoding, with memory for a part of the finest maps alone.

A convolution needs the neighbours of a tile alone. A group normalisation needs the mean and the variance of
the whole map. So each resolution is computed in several passes over its tiles, one more for each of its
norms: a pass adds up what the next norm needs, and the last one makes the map. The coarsest resolution, which
has attention, is computed whole.

Legend: B batch, C channels, H and W height and width, G groups, K channels of a group.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import Norm
from .coder import Decoder


@dataclass(slots=True)
class Tile:
    """A part of a map: rows and columns with their halo, and where the part lies in that."""

    rows: slice
    columns: slice
    top: int
    left: int
    height: int
    width: int

    def inside(self, x_BCHW: Tensor, factor: int) -> Tensor:
        """Return the part without the halo of a map that was enlarged by `factor`."""
        top, left = factor * self.top, factor * self.left
        return x_BCHW[..., top : top + factor * self.height, left : left + factor * self.width]


def tiles(height: int, width: int, side: int, halo: int) -> Iterator[Tile]:
    """Yield the squares of a side that cover a map, each with `halo` cells around it where there are some."""
    for y, x in itertools.product(range(0, height, side), range(0, width, side)):
        top, left = max(0, y - halo), max(0, x - halo)
        h, w = min(side, height - y), min(side, width - x)
        rows, columns = slice(top, min(height, y + h + halo)), slice(left, min(width, x + w + halo))
        yield Tile(rows, columns, y - top, x - left, h, w)


class NormMissing(Exception):
    """A norm was reached whose statistics are not known yet; it has taken in the tile."""


class TiledNorm(nn.Module):
    """A norm of a map that comes tile by tile, twice: first it learns the statistics, then it normalises."""

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        self.tile: Tile | None = None
        self.known = False
        self._count = 0
        self._sums: Tensor | None = None  # of values and of squares, [2, B, G, 1, 1, 1], float64

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the normalised map; `NormMissing` while statistics are taken."""
        norm = self.norm
        if not self.known:
            self._take(x_BCHW)
            raise NormMissing
        mean, variance = self._statistics()
        x_BGKHW = x_BCHW.float().unflatten(1, (norm.num_groups, -1))
        normal_BCHW = ((x_BGKHW - mean) * (variance + norm.eps).rsqrt()).flatten(1, 2)
        normal_BCHW = normal_BCHW * norm.weight[:, None, None] + norm.bias[:, None, None]
        return F.silu(normal_BCHW) if norm.silu else normal_BCHW

    def _take(self, x_BCHW: Tensor) -> None:
        assert self.tile is not None
        part_BGKHW = self.tile.inside(x_BCHW, 2).float().unflatten(1, (self.norm.num_groups, -1))
        self._count += part_BGKHW[0, 0].numel()
        powers = (part_BGKHW, part_BGKHW.square())
        sums = torch.stack([power.sum((2, 3, 4), keepdim=True, dtype=torch.float64) for power in powers])
        self._sums = sums if self._sums is None else self._sums + sums

    def _statistics(self) -> tuple[Tensor, Tensor]:
        assert self._sums is not None
        mean, squares = self._sums / self._count
        return mean.float(), (squares - mean.square()).float()


def decode_tiled(decoder: Decoder, map_BCHW: Tensor, side: int) -> Tensor:
    """Return the images [B, 3, H, W] of a latent map, in about [-1, 1]; equal to `decoder` but for rounding.

    Args:
        side: of the tiles, in pixels of the image.
    """
    x_BCHW = decoder.coarse(map_BCHW)
    last = len(decoder.up) - 1
    if not last:
        return decoder.finish(x_BCHW)
    for index in range(last, 0, -1):
        final = index == 1
        # its convolutions, counted in cells of the map that it doubles
        seen = 1 + 2 * len(decoder.up[index - 1].block) + final
        cells = max(1, side >> index)
        x_BCHW = _doubled(_stage(decoder, index, final=final), x_BCHW, cells, math.ceil(seen / 2))
    return x_BCHW


class Stage(nn.Module):
    """From the map of one resolution to that of the next finer one, or to the image."""

    def __init__(self, upsample: nn.Module, level: nn.Module, finish: nn.Module) -> None:
        super().__init__()
        self.upsample, self.level, self.finish = upsample, level, finish

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the finer map."""
        return self.finish(self.level(self.upsample(x_BCHW)))


def _stage(decoder: Decoder, index: int, *, final: bool) -> Stage:
    """Return a copy, with the same weights, that leads from level `index` to the next finer one."""
    finish = nn.Sequential(decoder.norm_out, decoder.conv_out) if final else nn.Identity()
    stage = Stage(decoder.up[index].upsample, decoder.up[index - 1], finish)
    copied = copy.deepcopy(stage, {id(weight): weight for weight in stage.parameters()})
    copied.level.upsample = nn.Identity()  # that of the next stage
    for parent in list(copied.modules()):
        for name, child in parent.named_children():
            if isinstance(child, Norm):
                setattr(parent, name, TiledNorm(child))
    return copied


def _doubled(stage: Stage, x_BCHW: Tensor, side: int, halo: int) -> Tensor:
    """Return a stage's map for the whole of its input, computed in tiles."""
    height, width = x_BCHW.shape[-2:]
    cuts = list(tiles(height, width, side, halo))
    norms = [module for module in stage.modules() if isinstance(module, TiledNorm)]

    def each(take: Callable[[Tile, Tensor], None]) -> None:
        for tile in cuts:
            for norm in norms:
                norm.tile = tile
            take(tile, x_BCHW[..., tile.rows, tile.columns])

    def take_statistics(tile: Tile, part: Tensor) -> None:
        try:
            stage(part)
        except NormMissing:
            return

    # as a forward pass meets them: in the order of the level's blocks, then the last one
    for norm in norms:
        each(take_statistics)
        norm.known = True
    whole: list[Tensor] = []

    def put(tile: Tile, part: Tensor) -> None:
        made = tile.inside(stage(part), 2)
        if not whole:
            whole.append(made.new_empty(*made.shape[:2], 2 * height, 2 * width))
        top, left = 2 * (tile.rows.start + tile.top), 2 * (tile.columns.start + tile.left)
        whole[0][..., top : top + made.shape[-2], left : left + made.shape[-1]] = made

    each(put)
    return whole[0]
