"""More different images of one condition, without training (after DiverseVAR, arXiv 2511.17074).

Legend: B samples, n tokens of one scale, C width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vartk_registry import VartkError
from vartk_registry.interfaces import CachePlan, CacheState, CacheStrategy, GroupingState

from ..config import DiversityConfig
from .cache import Chain, ChainState

TERMS = 24
"""Of the series: more change nothing in fp32 for strengths up to 4."""


@dataclass(frozen=True, slots=True)
class Diversity:
    """At some early scales, damps the dominant directions of what enters a block, and lifts those of what
    leaves it.

    A singular value s of the tokens [n, C] becomes s exp(-suppress e) before each block, and s exp(amplify e)
    after it, where e is its share of the energy, s^2 over the sum of all s^2.

    Args:
        suppress, amplify: strengths from 0 to 4; 0 changes nothing.
        scales: indices of scales, from 0.
    """

    suppress: float
    amplify: float
    scales: Sequence[int]

    def around(self, cache: CacheStrategy) -> CacheStrategy:
        """Return a cache strategy whose states change the tokens between blocks."""
        return Diversified(cache, self)


def build_diversity(config: DiversityConfig) -> Diversity | None:
    """Return what a configuration asks for; None where both strengths are 0."""
    if not config.suppress and not config.amplify:
        return None
    return Diversity(config.suppress, config.amplify, tuple(config.scales))


class Diversified(Chain):
    """A cache strategy, with the tokens between blocks changed."""

    def __init__(self, cache: CacheStrategy, diversity: Diversity) -> None:
        super().__init__([cache])
        self._cache = cache
        self._diversity = diversity
        if cache.lossless:  # it may stand beside a model that keeps keys itself
            self.seams = (self.seams - {"keys"}) | {"tokens"}

    def start(self, plan: CachePlan) -> DiverseState:
        """Return the state for a new generation.

        Raises:
            VartkError: there is no such scale.
        """
        count = len(plan.schedule)
        if any(scale >= count for scale in self._diversity.scales):
            raise VartkError(
                f"diversity.scales={list(self._diversity.scales)} are indices of scales, which here are 0 to "
                f"{count - 1}"
            )
        return DiverseState(self._cache.start(plan), self._diversity)


class DiverseState(ChainState):
    """A cache's state, and what is done to the tokens before its `enter` and after its `leave`."""

    def __init__(self, state: CacheState, diversity: Diversity) -> None:
        super().__init__(state, state)
        self._grouping = state if isinstance(state, GroupingState) else None
        self._diversity = diversity
        self.enter = self._enter
        self.leave = self._leave

    def _enter(self, layer: int, step: int, x: Tensor) -> Tensor:
        if step in self._diversity.scales:
            x = reweighted(x, -self._diversity.suppress)
        return x if self._grouping is None else self._grouping.enter(layer, step, x)

    def _leave(self, layer: int, step: int, x: Tensor) -> Tensor:
        if self._grouping is not None:
            x = self._grouping.leave(layer, step, x)
        return reweighted(x, self._diversity.amplify) if step in self._diversity.scales else x


def reweighted(x_BnC: Tensor, strength: float) -> Tensor:
    """Return x with each singular value s times exp(strength s^2 / sum of all s^2), as x.

    The exponential series of the matrix x x^T / |x|^2 needs no decomposition, for which a device would wait.
    """
    if not strength:
        return x_BnC
    with torch.autocast(x_BnC.device.type, enabled=False):
        exact_BnC = x_BnC.float()
        energy_B11 = exact_BnC.square().sum(dim=(1, 2), keepdim=True).clamp(min=torch.finfo().tiny)
        shares_Bnn = exact_BnC @ exact_BnC.mT / energy_B11
        sum_BnC = exact_BnC
        for term in range(TERMS, 0, -1):  # Horner's scheme
            sum_BnC = exact_BnC + shares_Bnn @ sum_BnC * (strength / term)
        return sum_BnC.to(x_BnC.dtype)
