"""VAR's transformer: predicts the codes of every scale from the coarser ones.

Legend: B batch, L codes of all scales, n of one, n0 of the first, M and m the tokens of these (fewer
with patches), C width; the 2 of a modulation are the scale and the shift of the head's norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vartk_registry import MaskSpec, Unsupported, VartkError
from vartk_registry.interfaces import CacheStrategy, CodeSpace, Condition, Grid, Schedule
from vartk_registry.interfaces.attention import Attend

from .blocks import Block, adaptive_norm
from .init import initialise
from .patches import pack, packed, packs, unpack
from .positions import lay_out
from .session import VarSession


class VarTransformer(nn.Module):
    """The transformer of "Visual Autoregressive Modeling" (arXiv 2404.02905).

    The first scale's tokens are the condition itself, which also modulates each block (AdaLN). The
    embedding of inputs, the residual stream and the head stay in fp32 under autocast.

    Args:
        schedule: the grids whose positions are learned; others are interpolated from them.
        space: the codes that are predicted.
        channels: the width of the inputs.

    The other arguments are the fields of `VarConfig`. Raises `VartkError` for a width that is no
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
        shared_adaln: bool,
        l2_norm: bool,
        drop_path: float | None,
        dropout: float,
        gain_init: float,
        norm_eps: float,
        checkpointing: bool,
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
        self.trained = packed(schedule, patch)
        self.space = space
        self.norm_eps = norm_eps
        self.checkpointing = checkpointing
        last_drop = 0.1 * depth / 24 if drop_path is None else drop_path
        self.start_position = nn.Parameter(torch.empty(1, self.trained.sizes[0], self.width))
        self.position = nn.Parameter(torch.empty(1, self.trained.total, self.width))
        self.level = nn.Embedding(len(schedule), self.width)
        self.embed = nn.Linear(channels, self.width)
        self.patch_embed = nn.Linear(patch**2 * channels, self.width) if patch > 1 else None
        self.shared_modulation = nn.Linear(self.width, 6 * self.width) if shared_adaln else None
        self.blocks = nn.ModuleList(
            Block(
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
        self.head_modulation = nn.Linear(self.width, 2 * self.width)
        self.head = nn.Linear(self.width, space.width)
        self.patch_head = nn.Linear(self.width, patch**2 * space.width) if patch > 1 else None
        initialise(self, gain_init)

    def forward(self, inputs: Tensor, condition: Condition, schedule: Schedule, attend: Attend) -> Tensor:
        """Predict all scales at once, teacher-forced.

        Args:
            inputs: [B, L - n0, channels], the inputs of every scale but the first.
            condition: its vector [B, C]; tokens are refused with `Unsupported`.
            schedule: the grids of the L tokens; it may differ from the one it was built with.
            attend: attention.

        Returns:
            logits [B, L, *shape, classes], fp32.
        """
        vector_BC = _vector(condition)
        tokens = packed(schedule, self.patch)
        first_BmC = vector_BC[:, None].expand(-1, tokens.sizes[0], -1)
        inputs_BmC = self.embed_inputs(inputs, schedule.grids[1:])
        x_BMC = torch.cat((first_BmC, inputs_BmC), dim=1) + self.layout(tokens)
        attend_masked = partial(attend, mask=MaskSpec.scale_causal(tokens, self.context))
        block_condition = self.block_condition(vector_BC)
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                x_BMC = checkpoint(block, x_BMC, block_condition, attend_masked, use_reentrant=False)
            else:
                x_BMC = block(x_BMC, block_condition, attend_masked)
        return self.logits(x_BMC, self.head_modulate(vector_BC), schedule.grids)

    def begin(
        self, condition: Condition, schedule: Schedule, cache: CacheStrategy, attend: Attend
    ) -> VarSession:
        """Start a generation, one cached step a scale; see `Transformer.begin` of the interface.

        With a bounded context, `Unsupported` for a cache that would decide which keys are kept.
        """
        return VarSession(self, _vector(condition), schedule, cache, attend)

    def compile_steps(self, *, dynamic: bool) -> None:
        """Compile the parts of a block between which a cache and an attention backend do their work."""
        for block in self.blocks:
            block.attention.project = torch.compile(block.attention.project, dynamic=dynamic)
            block.ffn.compile(dynamic=dynamic)

    def no_weight_decay(self) -> set[str]:
        """Return the weights, beside the 1-D ones, that the recipe does not decay (timm's hook)."""
        ends = ("position", "level.weight", "modulation_offset")
        return {name for name, _ in self.named_parameters() if name.endswith(ends)}

    def layout(self, schedule: Schedule) -> Tensor:
        """Return what is added to each token of a packed schedule for its place, [1, M, C]."""
        return lay_out(self.start_position, self.position, self.level.weight, self.trained, schedule)

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
        """Return what each block's `modulate` takes, from the condition [B, C]."""
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


def _vector(condition: Condition) -> Tensor:
    if condition.tokens is not None:
        raise Unsupported(
            "transformer 'var' is conditioned on one vector a sample and has no place for a "
            "sequence of tokens; take conditioner=class, or a transformer that reads tokens"
        )
    return condition.vector
