"""Attention backends: kernels that compute attention for a described mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ..masks import MaskSpec

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class AttentionRequest:
    """A call of attention, without its tensors; hashable, so that choices and plans are kept by it.

    Attributes:
        mask: which queries see which keys.
        heads, head_dim: as in q [B, S, heads, head_dim].
        dtype, device: "float32", "bfloat16", ...; "cpu", "cuda", ...
        needs_grad: whether a backward pass follows.
        dropout: probability in [0, 1) of dropping an attention weight.
    """

    mask: MaskSpec
    heads: int
    head_dim: int
    dtype: str
    device: str
    needs_grad: bool = False
    dropout: float = 0.0


class Attend(Protocol):
    """Attention as a model calls it; the engine binds it to the backend that was asked for."""

    def __call__(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        *,
        mask: MaskSpec,
        scale: float,
        dropout: float = 0.0,
    ) -> torch.Tensor:
        """Return softmax(scale q k^T + mask) v for q [B, S, H, D], k and v [B, T, H, D], as q."""
        ...


@runtime_checkable
class AttentionBackend(Protocol):
    """Component kind `attention`."""

    def unavailable(self) -> str:
        """Return why the backend cannot run on this machine at all, or an empty string."""
        ...

    def unsupported(self, request: AttentionRequest) -> list[str]:
        """Return every reason why it cannot serve the request; none means it can."""
        ...

    def prepare(self, request: AttentionRequest) -> Any:
        """Build what the kernel needs for this request, once: a bias, block mask, lengths or nothing."""
        ...

    def __call__(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        *,
        scale: float,
        plan: Any,
        dropout: float,
    ) -> torch.Tensor:
        """Compute attention for q [B, S, H, D], k and v [B, T, H, D], with the plan of `prepare`.

        `scale` multiplies q k^T and is never implied: VAR does not use 1/sqrt(D).
        """
        ...
