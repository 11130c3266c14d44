"""Builds cache strategies, and chains of them."""

from __future__ import annotations

from collections.abc import Sequence

from vartk_registry import Registry, VartkError
from vartk_registry.interfaces import (
    AttendingState,
    CachePlan,
    CacheState,
    CacheStrategy,
    DrawingStrategy,
    GroupingState,
    MergingState,
    PartialStrategy,
    Schedule,
    Seam,
    UnconditionalStrategy,
)
from vartk_registry.noise import KeyedNoise

from ..config import CHAIN, Slot

_KEYS: frozenset[Seam] = frozenset(("keys",))
_DECIDES = {"keys": "which keys and values are kept", "tokens": "which tokens are computed"}


def build_cache(slot: Slot, registry: Registry) -> CacheStrategy:
    """Build the strategy of a slot, or a chain of them.

    Raises:
        VartkError: two parts of a chain decide the same.
    """
    if slot.name != CHAIN:
        return registry.build("cache", slot.name, slot.params)
    parts = [{**part} for part in slot.params["parts"]]
    names = [part.pop("name") for part in parts]
    built = [registry.build("cache", name, params) for name, params in zip(names, parts, strict=True)]
    for seam, what in _DECIDES.items():
        rivals = [name for name, part in zip(names, built, strict=True) if seam in _seams(part)]
        if len(rivals) > 1:
            raise VartkError(
                f"cache=[{','.join(names)}]: {' and '.join(rivals)} each decide {what}; leave one of them out"
            )
    return Chain(built)


class Chain:
    """Strategies of which one keeps keys and values, one prunes tokens, and any skip scales."""

    def __init__(self, parts: Sequence[CacheStrategy]) -> None:
        self._parts = parts
        self.lossless = all(part.lossless for part in parts)
        self.seams = frozenset().union(*map(_seams, parts))

    def steps(self, schedule: Schedule) -> int:
        """Return the fewest scales that a part has generated."""
        return min(part.steps(schedule) for part in self._parts)

    def unconditional_from(self, schedule: Schedule) -> int:
        """Return the first scale that a part has drawn from guidance's null branch alone."""
        asked = [part for part in self._parts if isinstance(part, UnconditionalStrategy)]
        return min((part.unconditional_from(schedule) for part in asked), default=len(schedule))

    def seeded(self, noise: KeyedNoise) -> Chain:
        """Return the chain with random numbers for the parts that draw some."""
        return Chain(
            [part.seeded(noise) if isinstance(part, DrawingStrategy) else part for part in self._parts]
        )

    def start(self, plan: CachePlan) -> ChainState:
        """Return the state for a new generation: only the parts that decide something have one."""
        keeper, pruner = self._deciding("keys"), self._deciding("tokens")
        kept = keeper.start(plan)
        return ChainState(kept, kept if pruner is keeper else pruner.start(plan))

    def _deciding(self, seam: Seam) -> CacheStrategy:
        """Return the part that decides about a seam; where none does, any: it leaves all as it is."""
        return next((part for part in self._parts if seam in _seams(part)), self._parts[0])


class ChainState:
    """A state for keys and values and one for tokens, which may be the same; it has the optional methods
    that they have.
    """

    def __init__(self, keeper: CacheState, pruner: CacheState) -> None:
        self._states = [keeper] if pruner is keeper else [keeper, pruner]
        self.append = keeper.append
        self.select = pruner.select
        self.restore = pruner.restore
        if isinstance(keeper, AttendingState):
            self.attend = keeper.attend
        if isinstance(pruner, MergingState):
            self.merge = pruner.merge
        if isinstance(pruner, GroupingState):
            self.enter = pruner.enter
            self.leave = pruner.leave

    def narrow(self, batch: int) -> None:
        """Narrow both."""
        for state in self._states:
            state.narrow(batch)

    def nbytes(self) -> int:
        """Return the bytes of both."""
        return sum(state.nbytes() for state in self._states)


def _seams(strategy: CacheStrategy) -> frozenset[Seam]:
    return strategy.seams if isinstance(strategy, PartialStrategy) else _KEYS
