"""Cache strategies: which keys and values are kept, and which tokens pass through a sub-layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

    from .schedule import Schedule


@dataclass(frozen=True, slots=True)
class CachePlan:
    """What a generation will need.

    Attributes:
        schedule: the grids of the tokens.
        layers, heads, head_dim: the model's shape.
        batch: of both guidance halves, the conditional one first.
        scale: what attention multiplies q k^T with.
        dtype, device: of keys and values.
    """

    schedule: Schedule
    layers: int
    batch: int
    heads: int
    head_dim: int
    scale: float
    dtype: torch.dtype
    device: torch.device


@runtime_checkable
class CacheState(Protocol):
    """The state of one generation; nothing of it lives on modules or outlives the generation."""

    def append(
        self, layer: int, step: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take a scale's k and v [B, n, H, D]; return the keys and values [B, T, H, D] it attends to.

        Its queries q [B, n, H, D] are for strategies that keep what is attended to most.
        """
        ...

    def select(self, layer: int, branch: str, step: int, x: torch.Tensor) -> torch.Tensor | None:
        """Return the indices [B, m] of the tokens of x [B, n, C] to compute, or None for all.

        `branch` names the sub-layer ("attention", "ffn").
        """
        ...

    def restore(
        self, layer: int, branch: str, step: int, out: torch.Tensor, kept: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the sub-layer's output [B, n, C] from `out`, computed for the tokens `kept` alone.

        It is called for every sub-layer, before the residual is added.
        """
        ...

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples: called where the null branch of guidance is dropped."""
        ...

    def nbytes(self) -> int:
        """Return the bytes of the keys, values and other tensors held now."""
        ...


@runtime_checkable
class CacheStrategy(Protocol):
    """Component kind `cache`."""

    lossless: bool
    """Whether the images are those of a full cache."""

    def steps(self, schedule: Schedule) -> int:
        """Return how many scales, from the first, are generated; the others add nothing to the image."""
        ...

    def start(self, plan: CachePlan) -> CacheState:
        """Return the state for a new generation."""
        ...
