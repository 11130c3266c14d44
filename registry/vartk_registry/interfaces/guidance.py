"""Guidance: how conditional and null logits are mixed, step by step: a scale each, or a token each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Guidance(Protocol):
    """Component kind `guidance`."""

    def weight(self, step: int, steps: int) -> float:
        """Return the strength t at `step` of `steps`; 0 means the conditional logits alone, -1 the null ones.

        The null branch is not computed at all after the last step whose weight is not 0, and the conditional
        one not after the last step whose weight is not -1.
        """
        ...

    def mix(self, conditional: torch.Tensor, null: torch.Tensor, weight: float) -> torch.Tensor:
        """Return the mixed logits; classifier-free guidance is (1 + t) conditional - t null."""
        ...


@runtime_checkable
class LayerGuidance(Guidance, Protocol):
    """Optional, of a `Guidance` that can mix the hidden states of a layer in the place of the logits."""

    layer: int
    """0 mixes logits; n mixes after the block that is the n-th from the end, see `GuidedSession`."""
