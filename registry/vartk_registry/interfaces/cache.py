"""Cache strategies: which keys and values are kept, and which tokens pass through a sub-layer.

A "scale" here is a step of the schedule. In raster order that is one token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from ..noise import KeyedNoise
    from .schedule import Schedule


Seam = Literal["keys", "tokens", "scales"]
"""What a strategy decides: which keys are kept, which tokens are computed, which scales are generated."""


@dataclass(frozen=True, slots=True)
class CachePlan:
    """What a generation will need.

    Attributes:
        schedule: of the tokens; `shapes` holds the grid of each step.
        layers, heads, head_dim: the model's shape.
        batch: of both guidance halves. The half that is kept longer comes first: the conditional one, or
            the null one with a strategy that draws the last scales from it (`UnconditionalStrategy`).
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

        `branch` names the sub-layer ("attention", "cross_attention", "ffn").
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
        """Keep the first `batch` samples: called where one of the branches of guidance is dropped."""
        ...

    def nbytes(self) -> int:
        """Return the bytes allocated now for keys, values and all other tensors of the state.

        Keys that no later scale will see, such as the last scale's, need not be held.
        """
        ...


@runtime_checkable
class AttendingState(CacheState, Protocol):
    """Optional, of a `CacheState` whose heads hold different numbers of keys: it attends in groups."""

    def attend(
        self,
        layer: int,
        step: int,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        attend: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """Take a scale as `append` does, and return the attention's output [B, n, H, D].

        Called in the place of `append`. `attend` computes attention without a mask for q [B, n, h, D]
        and k, v [B, T, h, D], where h may be some of the heads.
        """
        ...


@runtime_checkable
class MergingState(CacheState, Protocol):
    """Optional, of a `CacheState` whose computed tokens stand for several."""

    def merge(self, layer: int, branch: str, step: int, x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """Return the sub-layer's input [B, m, C], of x [B, n, C], where `select` returned `kept`.

        Called in the place of gathering the tokens `kept`.
        """
        ...


@runtime_checkable
class GroupingState(CacheState, Protocol):
    """Optional, of a `CacheState` that changes the tokens between blocks, such as around groups of blocks."""

    def enter(self, layer: int, step: int, x: torch.Tensor) -> torch.Tensor:
        """Return the tokens [B, m, C] that a block works on, from those before it, x.

        Called before each block. x is [B, n, C], all tokens of the scale or those that an earlier `enter`
        has left. The m tokens have the positions of the first m tokens of the scale.
        """
        ...

    def leave(self, layer: int, step: int, x: torch.Tensor) -> torch.Tensor:
        """Return the tokens after a block, from its output x [B, m, C].

        Called after each block. After the last one these must be all tokens of the scale, [B, n, C].
        """
        ...


@runtime_checkable
class CacheStrategy(Protocol):
    """Component kind `cache`."""

    lossless: bool
    """True if the images equal those of a full cache."""

    def steps(self, schedule: Schedule) -> int:
        """Return how many scales, from the first, are generated; the others add nothing to the image."""
        ...

    def start(self, plan: CachePlan) -> CacheState:
        """Return the state for a new generation."""
        ...


@runtime_checkable
class PartialStrategy(CacheStrategy, Protocol):
    """Optional, of a `CacheStrategy` that may stand in a chain beside one that keeps keys and values.

    A strategy without `seams` decides about "keys" alone. One without "keys" among them keeps all keys
    that it is given; in a chain it is given none, and should hold no memory for them.
    """

    seams: frozenset[Seam]
    """What it decides; a chain has at most one part for "keys" and one for "tokens"."""


@runtime_checkable
class UnconditionalStrategy(CacheStrategy, Protocol):
    """Optional, of a `CacheStrategy` with which guidance's null branch alone draws the last scales."""

    def unconditional_from(self, schedule: Schedule) -> int:
        """Return the first scale that is drawn without the conditional branch; the number of scales for none.

        Before it both branches run. Without guidance there is no null branch, and this is not asked.
        """
        ...


@runtime_checkable
class DrawingStrategy(CacheStrategy, Protocol):
    """Optional, of a `CacheStrategy` that draws random numbers."""

    def seeded(self, noise: KeyedNoise) -> CacheStrategy:
        """Return the strategy for one generation, whose numbers come from `noise`, an entry for each image.

        Where both branches of guidance run, the batch of a state is twice as large as `noise`, and the two
        samples of an image have the same numbers. A strategy that was not seeded has numbers of its own.
        """
        ...


@runtime_checkable
class Calibration(CacheStrategy, Protocol):
    """A strategy that attends as a full cache does, and measures while a model samples with it.

    What it has measured is kept on it, over all generations that it starts.
    """

    def parameters(self) -> dict[str, Any]:
        """Return the parameters, plain values, with which the calibrated strategy suits this model.

        Raises:
            VartkError: nothing has been sampled yet.
        """
        ...


@runtime_checkable
class Calibratable(CacheStrategy, Protocol):
    """Optional, of a `CacheStrategy` with parameters that depend on the model (`vartk calibrate`)."""

    def calibration(self) -> Calibration:
        """Return a new calibration of this strategy, which keeps its other parameters in mind."""
        ...
