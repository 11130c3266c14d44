"""What transformers of scales share: one teacher-forced pass over all steps, and cached steps.

Legend: B batch, L codes of all scales, n0 of the first step, M and m the tokens of all steps and of some
(fewer than codes with patches), S tokens, H heads, D head dim, C width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vartk_registry import MaskSpec
from vartk_registry.interfaces import CacheStrategy, Condition, Schedule
from vartk_registry.interfaces.attention import Attend

from .blocks import AttendMasked
from .patches import packed
from .rope import rotated
from .session import ScaleSession


class ScaleTransformer(nn.Module, ABC):
    """A transformer whose blocks work on the tokens of scales; subclasses hold the weights around them.

    Attributes:
        blocks: see `Block`.
        patch: the side of the squares of codes that are one token.
        context: how many earlier scales a scale sees; None for all.
        neighbourhood: how many rows and columns of these a token sees around its place; None for all.
        checkpointing: recompute each block in the backward pass.
    """

    blocks: nn.ModuleList
    patch: int
    context: int | None
    neighbourhood: int | None
    checkpointing: bool

    @abstractmethod
    def conditioned(self, condition: Condition) -> tuple[Tensor, Any]:
        """Return the first step's tokens before their positions, one vector [B, C] a sample, which also
        modulates the head; and what `Block.prepare` takes."""

    def forward(self, inputs: Tensor, condition: Condition, schedule: Schedule, attend: Attend) -> Tensor:
        """Predict all steps at once, teacher-forced.

        Args:
            inputs: [B, L - n0, channels], the inputs of every step but the first.
            condition: what it lacks or has too much of is refused with `Unsupported`.
            schedule: of the L tokens; its grids may differ from those it was built with.
            attend: attention.

        Returns:
            logits [B, L, *shape, classes], fp32.
        """
        vector_BC, block_condition = self.conditioned(condition)
        tokens = packed(schedule, self.patch)
        first_BmC = vector_BC[:, None].expand(-1, tokens.sizes[0], -1)
        inputs_BmC = self.embed_inputs(inputs, schedule.shapes[1:])
        x_BMC = torch.cat((first_BmC, inputs_BmC), dim=1) + self.layout(tokens)
        mask = MaskSpec.scale_causal(tokens, self.context, self.neighbourhood)
        attend_masked: AttendMasked = partial(attend, mask=mask)
        if (turns := self.turns(tokens)) is not None:
            attend_masked = partial(_attend_rotated, turns, attend_masked)
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                x_BMC = checkpoint(block, x_BMC, block_condition, attend_masked, use_reentrant=False)
            else:
                x_BMC = block(x_BMC, block_condition, attend_masked)
        return self.logits(x_BMC, self.head_modulate(vector_BC), schedule.shapes)

    def begin(
        self, condition: Condition, schedule: Schedule, cache: CacheStrategy, attend: Attend
    ) -> ScaleSession:
        """Start a generation, step by step with a cache; see `Transformer.begin` of the interface.

        With a bounded context, `Unsupported` for a cache that would decide which keys are kept.
        """
        return ScaleSession(self, *self.conditioned(condition), schedule, cache, attend)

    def compile_steps(self, *, dynamic: bool) -> None:
        """Compile the parts of a block between which a cache and an attention backend do their work."""
        for block in self.blocks:
            block.attention.project = torch.compile(block.attention.project, dynamic=dynamic)
            block.ffn.compile(dynamic=dynamic)


def _attend_rotated(
    turns_BSd2: Tensor, attend: AttendMasked, q_BSHD: Tensor, k_BSHD: Tensor, v_BSHD: Tensor, **options: Any
) -> Tensor:
    return attend(rotated(q_BSHD, turns_BSd2), rotated(k_BSHD, turns_BSd2), v_BSHD, **options)
