"""Samplers: logits to codes, with explicit randomness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


class Randomness(Protocol):
    """The random numbers of one step; the policy (`per_image`, `shared`) is behind it.

    Each call has numbers of its own. All tensors have the shape of the step's logits.
    """

    def categorical(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Draw indices [B, n, *shape] from float probabilities [B, n, *shape, classes].

        A class of probability 0 is never drawn.
        """
        ...

    def exponential(self, like: torch.Tensor) -> torch.Tensor:
        """Draw Exponential(1) numbers, above 0, in the shape [B, n, *shape, classes] of `like`."""
        ...


@dataclass(frozen=True, slots=True)
class Draw:
    """What a sampler drew for one step: a scale, or a token in raster order.

    Attributes:
        codes: [B, n, *shape] int64.
        weights: [B, n, *shape, classes] or None; where given, the step's vectors are the codes' mean
            under these weights and not the vectors of `codes`.
    """

    codes: torch.Tensor
    weights: torch.Tensor | None = None


@runtime_checkable
class Sampler(Protocol):
    """Component kind `sampler`."""

    def __call__(self, logits: torch.Tensor, step: int, steps: int, random: Randomness) -> Draw:
        """Draw the codes of `step` of `steps` from logits [B, n, *shape, classes]."""
        ...
