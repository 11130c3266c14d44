"""Transformers: the codes of each step from those of the steps before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from .attention import Attend
    from .cache import CacheState, CacheStrategy
    from .conditioner import Condition
    from .schedule import Schedule


class Session(Protocol):
    """One generation: it holds the cache and whatever is computed once from the condition."""

    cache: CacheState

    def step(self, inputs: torch.Tensor | None) -> torch.Tensor:
        """Return the logits [B, n, *shape, classes] of the next step.

        `inputs` [B, n, channels] is what the tokenizer made of the coarser scales or, in raster order, the
        vector of the token before; None at the first step.
        """
        ...

    def narrow(self, batch: int) -> None:
        """Go on with the first `batch` samples alone."""
        ...


@runtime_checkable
class GuidedSession(Session, Protocol):
    """Optional, of a `Session` that can mix the two halves of guidance between its blocks."""

    def guided_step(
        self,
        inputs: torch.Tensor | None,
        layer: int,
        mix: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """Return the logits [B, n, *shape, classes] of the next scale, mixed on the way.

        `mix` is called once, with the hidden states of the first and of the second half of the batch after
        the block that is the `layer`-th from the end (1 is the last one). What it returns takes the place of
        both. `Unsupported` where there are not so many blocks.
        """
        ...


@runtime_checkable
class Transformer(Protocol):
    """Component kind `transformer`, a `torch.nn.Module`.

    Built with `schedule`, `space` (the codes it predicts) and `channels` (the width of its inputs).

    For inference the engine takes a copy with faster layers in the place of each `nn.Linear`. A submodule
    that has a method `folded(device)` is replaced by what it returns, an equal of plain layers. A subclass of
    `nn.Linear` with the attribute `activation`, "gelu_tanh", is computed in one go with it. A method
    `compile_steps(*, dynamic)` compiles, in place, what every cached step repeats; where there is none,
    `compile=true` is refused. A method `moved_from(schedule, weights)` returns the weights of such a
    transformer for another schedule, changed for its own, so that a training can start from them.
    """

    width: int
    """The width of the conditions it takes."""

    def __call__(
        self,
        inputs: torch.Tensor,
        condition: Condition,
        schedule: Schedule,
        attend: Attend,
    ) -> torch.Tensor:
        """Predict all steps at once, teacher-forced.

        Args:
            inputs: [B, L - n_0, channels], the inputs of every step but the first.
            schedule: of the L tokens; its grids may differ from those that it was built with.

        Returns:
            logits [B, L, *shape, classes].
        """
        ...

    def begin(
        self, condition: Condition, schedule: Schedule, cache: CacheStrategy, attend: Attend
    ) -> Session:
        """Start a generation, step by step with a cache; equal to the teacher-forced pass if lossless."""
        ...
