"""The weights of Infinity's transformer, and the way from inputs to its blocks and to logits of bits.

Legend: B batch, n codes of some scales, m and M tokens of some and of all scales, p the side of a patch,
C width; the 2 of a modulation are the scale and the shift of the head's norm.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vartk_registry import VartkError, counted
from vartk_registry.interfaces import CodeSpace, Grid, Schedule

from ..blocks import adaptive_norm
from ..patches import pack, packed, packs, unpack
from ..reading import TextBlock
from ..rope import turns_of
from .text import TextNorm, TextPooling

HIDDEN = 256
"""The hidden width of the feed-forward layers is a multiple of this."""


class InfinityNetwork(nn.Module):
    """The weights of Infinity's transformer, and what surrounds its blocks, for any scales.

    The text's norm, the embedding of inputs, the residual stream and the head stay in fp32 under autocast.

    Args:
        schedule: the grids; it has no say in the weights, since positions are turns (2-D RoPE).
        space: the codes that are predicted.
        channels: the width of the inputs.

    The other arguments are fields of `InfinityConfig`. Raises `VartkError` for sizes that do not fit.
    """

    context = None  # a scale sees all scales before it
    neighbourhood = None  # and all of their tokens

    def __init__(
        self,
        *,
        schedule: Schedule,
        space: CodeSpace,
        channels: int,
        depth: int,
        width: int,
        heads: int,
        text_width: int,
        patch: int,
        levels: int,
        mlp_ratio: float,
        drop_path: float | None,
        norm_eps: float,
    ) -> None:
        super().__init__()
        if width % (4 * heads):
            raise VartkError(
                f"transformer 'infinity': width={width} is no multiple of 4 x heads={heads}, as 2-D RoPE "
                f"needs; take width={width - width % (4 * heads) + 4 * heads}, or other heads"
            )
        self.width = text_width  # of the conditions
        self.heads = heads
        self.head_dim = width // heads
        self.patch = patch
        self.space = space
        self.norm_eps = norm_eps
        hidden = max(HIDDEN, round(width * mlp_ratio / HIDDEN) * HIDDEN)
        last_drop = 0.1 * depth / 24 if drop_path is None else drop_path
        self.text_norm = TextNorm(text_width, norm_eps)
        self.pooling = TextPooling(text_width, width)
        self.text_embed = nn.Sequential(
            nn.Linear(text_width, width), nn.GELU(approximate="tanh"), nn.Linear(width, width)
        )
        self.start_position = nn.Parameter(torch.empty(1, 1, width))
        self.level = nn.Embedding(levels, width)
        self.embed = nn.Linear(patch**2 * channels, width)
        self.shared_modulation = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(
            TextBlock(
                width,
                heads,
                hidden,
                shared_adaln=True,
                l2_norm=True,
                drop_path=last_drop * layer / max(1, depth - 1),
                dropout=0.0,
                norm_eps=norm_eps,
            )
            for layer in range(depth)
        )
        self.head_modulation = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, patch**2 * space.width)
        self.layout(packed(schedule, patch))  # refuses what does not fit

    def layout(self, schedule: Schedule) -> Tensor:
        """Return what is added to each token of a packed schedule for its scale, [1, M, C].

        Raises:
            VartkError: there are more scales than levels.
        """
        levels = self.level.weight
        scales = schedule.scales.sizes
        if len(scales) > len(levels):
            raise VartkError(
                f"transformer 'infinity': the schedule has {counted(len(scales), 'scale')} for "
                f"levels={len(levels)}; take transformer.levels={len(scales)} or fewer scales"
            )
        first = schedule.sizes[0]
        parts = [level.expand(1, size, -1) for level, size in zip(levels, scales, strict=False)]
        parts[:1] = parts[0][:, :first] + self.start_position, parts[0][:, first:]
        return torch.cat(parts, dim=1)

    def turns(self, schedule: Schedule) -> Tensor:
        """Return how the queries and keys of a packed schedule are turned, [1, M, d, 2]."""
        return turns_of(schedule, self.head_dim, self.level.weight.device)

    def embed_inputs(self, inputs: Tensor, grids: Sequence[Grid]) -> Tensor:
        """Return the inputs [B, n, channels] of some scales as tokens [B, m, C], fp32."""
        with torch.autocast(inputs.device.type, enabled=False):
            if self.patch == 1:
                return self.embed(inputs)
            parts = inputs.split([h * w for h, w in grids], dim=1)
            return self.embed(
                torch.cat([self._packed(*part) for part in zip(parts, grids, strict=True)], dim=1)
            )

    def head_modulate(self, vector_BC: Tensor) -> Tensor:
        """Return the scale and the shift of the head's norm, [B, 1, 2, C], fp32."""
        with torch.autocast(vector_BC.device.type, enabled=False):
            return self.head_modulation(F.silu(vector_BC.float())).unflatten(-1, (1, 2, -1))

    def logits(self, x_BmC: Tensor, modulation_B12C: Tensor, grids: Sequence[Grid]) -> Tensor:
        """Return the logits [B, n, *shape, classes], fp32, of the last block's output for some scales."""
        scale_B1C, shift_B1C = modulation_B12C.unbind(2)
        with torch.autocast(x_BmC.device.type, enabled=False):
            logits = self.head(adaptive_norm(x_BmC, scale_B1C, shift_B1C, self.norm_eps))
            if self.patch > 1:
                sizes = packed(Schedule(tuple(grids)), self.patch).sizes
                parts = zip(logits.split(sizes, dim=1), grids, strict=True)
                logits = torch.cat([self._unpacked(part, grid) for part, grid in parts], dim=1)
            return logits.unflatten(-1, self.space.logits_shape)

    def _packed(self, x_BnD: Tensor, grid: Grid) -> Tensor:
        """Put the codes of each square side by side, channel by channel: [B, m, D p p]."""
        if not packs(grid, self.patch):
            raise VartkError(
                f"transformer 'infinity': patch={self.patch} does not tile a scale of {grid[0]}x{grid[1]}; "
                f"take schedule.patch={self.patch}, or sides that are multiples of {self.patch}"
            )
        squares_BmpD = pack(x_BnD, grid, self.patch).unflatten(-1, (self.patch**2, -1))
        return squares_BmpD.transpose(-1, -2).flatten(-2)

    def _unpacked(self, x_BmD: Tensor, grid: Grid) -> Tensor:
        """Return the logits [B, n, width] of the codes in squares, which stand bit by bit in `x_BmD`."""
        bits, classes = self.space.logits_shape
        codes_Bmbpc = x_BmD.unflatten(-1, (bits, self.patch**2, classes))
        return unpack(codes_Bmbpc.transpose(-2, -3).flatten(-3), grid, self.patch)
