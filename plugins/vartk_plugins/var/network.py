"""The weights of VAR's transformer, the way from inputs to its blocks, and from these to logits.

Legend: B batch, n codes of some scales, M tokens of all scales and m of some (fewer than codes with
patches), C width; the 2 of a modulation are the scale and the shift of the head's norm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vartk_registry import VartkError
from vartk_registry.interfaces import CodeSpace, Grid, Schedule

from .blocks import Block, adaptive_norm
from .patches import pack, packed, packs, unpack
from .positions import lay_out, moved
from .reading import TextBlock
from .rope import turns_of


class VarNetwork(nn.Module):
    """The weights of VAR's transformer, and what surrounds its blocks, for any scales.

    The embedding of inputs, the residual stream and the head stay in fp32 under autocast.

    Args:
        schedule: the grids whose positions are learned; others are interpolated from them.
        space: the codes that are predicted.
        channels: the width of the inputs.

    The other arguments are fields of `VarConfig`. Raises `VartkError` for a width that is no
    multiple of the heads.
    """

    def __init__(
        self,
        *,
        schedule: Schedule,
        space: CodeSpace,
        channels: int,
        depth: int,
        width: int | None,
        heads: int | None,
        patch: int,
        mlp_ratio: float,
        context: int | None,
        neighbourhood: int | None,
        positions: str,
        cross_attention: bool,
        shared_adaln: bool,
        l2_norm: bool,
        drop_path: float | None,
        dropout: float,
        norm_eps: float,
    ) -> None:
        super().__init__()
        self.width = 64 * depth if width is None else width
        self.heads = depth if heads is None else heads
        if self.width % self.heads:
            raise VartkError(
                f"transformer 'var': width={self.width} is no multiple of heads={self.heads}; "
                f"take width={self.width - self.width % self.heads + self.heads}, or other heads"
            )
        self.patch = patch
        self.context = context
        self.neighbourhood = neighbourhood
        _check_neighbourhood(neighbourhood, context, schedule)
        self.trained = packed(schedule, patch)
        self.rope = positions == "rope2d"
        self.reads = cross_attention
        self.space = space
        self.norm_eps = norm_eps
        last_drop = 0.1 * depth / 24 if drop_path is None else drop_path
        self.start_position = nn.Parameter(torch.empty(1, self.trained.sizes[0], self.width))
        self.position = None if self.rope else nn.Parameter(torch.empty(1, self.trained.total, self.width))
        self.level = nn.Embedding(len(schedule.grids), self.width)
        self.embed = nn.Linear(channels, self.width)
        self.patch_embed = nn.Linear(patch**2 * channels, self.width) if patch > 1 else None
        self.shared_modulation = nn.Linear(self.width, 6 * self.width) if shared_adaln else None
        block = TextBlock if cross_attention else Block
        self.blocks = nn.ModuleList(
            block(
                self.width,
                self.heads,
                round(self.width * mlp_ratio),
                shared_adaln=shared_adaln,
                l2_norm=l2_norm,
                drop_path=last_drop * layer / max(1, depth - 1),
                dropout=dropout,
                norm_eps=norm_eps,
            )
            for layer in range(depth)
        )
        self.turns(self.trained)  # refuses a head dim that cannot be turned
        self.head_modulation = nn.Linear(self.width, 2 * self.width)
        self.head = nn.Linear(self.width, space.width)
        self.patch_head = nn.Linear(self.width, patch**2 * space.width) if patch > 1 else None

    def moved_from(self, schedule: Schedule, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of such a network for another schedule, its places moved to this schedule."""
        places = weights["start_position"], weights.get("position"), weights["level.weight"]
        start, position, level = moved(*places, packed(schedule, self.patch), self.trained)
        changed = {"start_position": start, "level.weight": level}
        return {**weights, **changed, **({} if position is None else {"position": position})}

    def layout(self, schedule: Schedule) -> Tensor:
        """Return what is added to each token of a packed schedule for its place, [1, M, C]."""
        return lay_out(self.start_position, self.position, self.level.weight, self.trained, schedule)

    def turns(self, schedule: Schedule) -> Tensor | None:
        """Return how the queries and keys of a packed schedule are turned, [1, M, d, 2]; None for not."""
        if not self.rope:
            return None
        return turns_of(schedule, self.width // self.heads, self.level.weight.device)

    def embed_inputs(self, inputs: Tensor, grids: Sequence[Grid]) -> Tensor:
        """Return the inputs [B, n, channels] of some scales as tokens [B, m, C], fp32."""
        with torch.autocast(inputs.device.type, enabled=False):
            if self.patch_embed is None:
                return self.embed(inputs)
            parts = inputs.split([h * w for h, w in grids], dim=1)
            return torch.cat(
                [
                    self.patch_embed(pack(part, grid, self.patch))
                    if packs(grid, self.patch)
                    else self.embed(part)
                    for part, grid in zip(parts, grids, strict=True)
                ],
                dim=1,
            )

    def block_condition(self, vector_BC: Tensor) -> Tensor:
        """Return what the `modulate` of each block takes, from the condition [B, C]."""
        if self.shared_modulation is None:
            return F.silu(vector_BC)
        return self.shared_modulation(F.silu(vector_BC)).unflatten(-1, (1, 6, -1))

    def head_modulate(self, vector_BC: Tensor) -> Tensor:
        """Return the scale and the shift of the head's norm, [B, 1, 2, C], fp32."""
        with torch.autocast(vector_BC.device.type, enabled=False):
            return self.head_modulation(F.silu(vector_BC)).unflatten(-1, (1, 2, -1))

    def logits(self, x_BmC: Tensor, modulation_B12C: Tensor, grids: Sequence[Grid]) -> Tensor:
        """Return the logits [B, n, *shape, classes], fp32, of the last block's output for some scales."""
        scale_B1C, shift_B1C = modulation_B12C.unbind(2)
        with torch.autocast(x_BmC.device.type, enabled=False):
            x_BmC = adaptive_norm(x_BmC, scale_B1C, shift_B1C, self.norm_eps)
            return self._heads(x_BmC, grids).unflatten(-1, self.space.logits_shape)

    def _heads(self, x_BmC: Tensor, grids: Sequence[Grid]) -> Tensor:
        if self.patch_head is None:
            return self.head(x_BmC)
        parts = x_BmC.split(packed(Schedule(tuple(grids)), self.patch).sizes, dim=1)
        return torch.cat(
            [
                unpack(self.patch_head(part), grid, self.patch)
                if packs(grid, self.patch)
                else self.head(part)
                for part, grid in zip(parts, grids, strict=True)
            ],
            dim=1,
        )


def _check_neighbourhood(neighbourhood: int | None, context: int | None, schedule: Schedule) -> None:
    if neighbourhood is None:
        return
    if context is None or schedule.raster:
        missing = "whole scales as steps" if schedule.raster else "transformer.context=1"
        raise VartkError(
            f"transformer 'var': neighbourhood={neighbourhood} is of few scales and needs {missing}; "
            "give that, too, or leave neighbourhood out"
        )
    if neighbourhood % 2 == 0:
        raise VartkError(
            f"transformer 'var': neighbourhood={neighbourhood} has no token at its centre; take "
            f"{neighbourhood + 1}"
        )
