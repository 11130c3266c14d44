"""VAR's transformer: predicts the codes of every step from the steps before, scales or single tokens.

Legend: B batch, L codes of all scales, n0 of the first step, M and m the tokens of all steps and of one
(fewer than codes with patches), C width.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from vartk_registry import MaskSpec, Unsupported
from vartk_registry.interfaces import CacheStrategy, Condition, Schedule
from vartk_registry.interfaces.attention import Attend

from .init import initialise
from .network import VarNetwork
from .patches import packed
from .session import VarSession


class VarTransformer(VarNetwork):
    """The transformer of "Visual Autoregressive Modeling" (arXiv 2404.02905).

    The first step's tokens are the condition itself, which also modulates each block (AdaLN). With a
    schedule in raster order it is the classic next-token model: the same weights under a causal mask.

    Args:
        gain_init, checkpointing: fields of `VarConfig`.
        network: the arguments of `VarNetwork`.
    """

    def __init__(self, *, gain_init: float, checkpointing: bool, **network: Any) -> None:
        super().__init__(**network)
        self.checkpointing = checkpointing
        initialise(self, gain_init)

    def forward(self, inputs: Tensor, condition: Condition, schedule: Schedule, attend: Attend) -> Tensor:
        """Predict all steps at once, teacher-forced.

        Args:
            inputs: [B, L - n0, channels], the inputs of every step but the first.
            condition: its vector [B, C]; tokens are refused with `Unsupported`.
            schedule: of the L tokens; its grids may differ from those it was built with.
            attend: attention.

        Returns:
            logits [B, L, *shape, classes], fp32.
        """
        vector_BC = _vector(condition)
        tokens = packed(schedule, self.patch)
        first_BmC = vector_BC[:, None].expand(-1, tokens.sizes[0], -1)
        inputs_BmC = self.embed_inputs(inputs, schedule.shapes[1:])
        x_BMC = torch.cat((first_BmC, inputs_BmC), dim=1) + self.layout(tokens)
        attend_masked = partial(attend, mask=MaskSpec.scale_causal(tokens, self.context))
        block_condition = self.block_condition(vector_BC)
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                x_BMC = checkpoint(block, x_BMC, block_condition, attend_masked, use_reentrant=False)
            else:
                x_BMC = block(x_BMC, block_condition, attend_masked)
        return self.logits(x_BMC, self.head_modulate(vector_BC), schedule.shapes)

    def begin(
        self, condition: Condition, schedule: Schedule, cache: CacheStrategy, attend: Attend
    ) -> VarSession:
        """Start a generation, step by step with a cache; see `Transformer.begin` of the interface.

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


def _vector(condition: Condition) -> Tensor:
    if condition.tokens is not None:
        raise Unsupported(
            "transformer 'var' is conditioned on one vector a sample and has no place for a "
            "sequence of tokens; take conditioner=class, or a transformer that reads tokens"
        )
    return condition.vector
