"""Checks of conditioners and transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..interfaces import (
    Attend,
    CachePlan,
    CacheState,
    CacheStrategy,
    CodeSpace,
    Condition,
    Conditioner,
    GuidedSession,
    Schedule,
    Transformer,
)
from .attention import dense_attend
from .rules import mode, require, require_close, require_shape


def check_conditioner(conditioner: Conditioner, values: Sequence[Any]) -> None:
    """Check a conditioner on two or more values as a user gives them: indices, names, prompts."""
    size = len(values)
    require(size >= 2, "give at least two values to check a conditioner with")
    require(
        conditioner.takes in ("label", "caption", "both"),
        f"takes must be 'label', 'caption' or 'both', not {conditioner.takes!r}",
    )
    require(
        isinstance(conditioner.choices, list)
        and all(isinstance(choice, str) for choice in conditioner.choices),
        "choices must be a list of str",
    )
    with mode(conditioner, training=False), torch.no_grad():
        batch = conditioner.parse(values)
        require_shape("a parsed batch", batch, (size, *batch.shape[1:]))
        condition = conditioner(batch)
        _check_condition(condition, size)
        null = conditioner.null(size)
        require_shape("a null batch", null, batch.shape)
        require(null.dtype == batch.dtype, "a null batch must have the dtype of a parsed one")
        _check_condition(conditioner(torch.cat([batch, null])), 2 * size)
        given = batch.clone()
        dropped = conditioner.drop(batch, torch.arange(size) == 0)
        require(torch.equal(batch, given), "drop must leave the batch it is given as it is")
        everywhere = conditioner.drop(batch, torch.ones(size, dtype=torch.bool))
        require(
            torch.equal(dropped, torch.cat([everywhere[:1], batch[1:]])) and not torch.equal(dropped, batch),
            "drop must put the null condition where `dropped` is true, and only there",
        )


def _check_condition(condition: Condition, size: int) -> None:
    require(isinstance(condition, Condition), f"it must return a Condition, not {condition!r}")
    require_shape("the vector of a condition", condition.vector, (size, condition.vector.shape[-1]))
    if condition.tokens is not None:
        _, count, width = condition.tokens.shape
        require_shape("the tokens of a condition", condition.tokens, (size, count, width))
    if condition.lengths is not None:
        require_shape("the lengths of a condition", condition.lengths, (size,))
    if condition.weights is not None:
        require(condition.tokens is not None, "weights are of tokens, and the condition has none")
        require_shape("the weights of a condition", condition.weights, (size, count))


def check_transformer(
    transformer: Transformer,
    condition: Condition,
    *,
    schedule: Schedule,
    space: CodeSpace,
    channels: int,
    cache: CacheStrategy,
    attend: Attend = dense_attend,
) -> None:
    """Check that cached steps give the logits of the teacher-forced pass.

    Weights as initialised may hide what attention does (VAR starts with gates near 0): give the
    transformer random ones first.

    Args:
        condition: of two or more samples.
        schedule, space, channels: what the transformer was built with.
        cache: a lossless strategy, such as the built-in `full`.
    """
    batch = len(condition)
    require(batch >= 2, "give a condition of at least two samples to check a transformer with")
    generator = torch.Generator().manual_seed(0)
    first = schedule.sizes[0]
    inputs = torch.randn(batch, schedule.total - first, channels, generator=generator)
    scales = [None if a < first else inputs[:, a - first : b - first] for a, b in schedule.spans]
    with mode(transformer, training=False), torch.no_grad():
        logits = transformer(inputs, condition, schedule, attend)
        require_shape("teacher-forced logits", logits, (batch, schedule.total, *space.logits_shape))
        if condition.tokens is not None:
            twice = _twice(condition, condition.tokens)
            rule = (
                "tokens twice, with weights that sum to 1, and others of weight 0 must give the same logits"
            )
            require_close(rule, transformer(inputs, twice, schedule, attend), logits)
        session = transformer.begin(condition, schedule, cache, attend)
        narrowed = transformer.begin(condition, schedule, cache, attend)
        require(isinstance(session.cache, CacheState), "a session must hold the state of its cache")
        # the two sessions take turns, for neither may keep its state on the module
        for step, (x, (start, stop)) in enumerate(zip(scales, schedule.spans, strict=True)):
            if step == 1:
                narrowed.narrow(1)
            rule = f"the cached step of scale {step} must equal the teacher-forced logits"
            require_close(rule, session.step(x), logits[:, start:stop])
            left = batch if step == 0 else 1
            part = None if x is None else x[:left]
            rule = f"scale {step} of a narrowed session must equal the first sample's logits"
            require_close(rule, narrowed.step(part), logits[:left, start:stop])
        grouped = _Grouped(cache)
        session = transformer.begin(condition, schedule, grouped, attend)
        for x, size in zip(scales, schedule.sizes, strict=True):
            shape = (batch, size, *space.logits_shape)
            require_shape("logits of blocks that a cache gives one token", session.step(x), shape)
            grouped.check()
        guided = transformer.begin(condition.narrow(2), schedule, cache, attend)
        if isinstance(guided, GuidedSession):
            _check_guided(guided, logits[:1, :first])


def _twice(condition: Condition, tokens: torch.Tensor) -> Condition:
    """Return a condition with its tokens twice, at weights of 1/4 and 3/4, and others between them at 0."""
    batch, count, _ = tokens.shape
    weights = condition.weights
    if weights is None:
        lengths = torch.full((batch,), count) if condition.lengths is None else condition.lengths
        weights = (torch.arange(count) < lengths[:, None]).float()
    twice = torch.cat([tokens, -tokens, tokens], dim=1)
    weights = torch.cat([weights / 4, 0 * weights, 3 * weights / 4], dim=1)
    return Condition(condition.vector, twice, weights=weights)


class _Grouped:
    """A strategy with a `GroupingState` that gives each block the first token alone."""

    lossless = False

    def __init__(self, cache: CacheStrategy) -> None:
        self._cache = cache
        self.calls: list[tuple[str, int]] = []

    def steps(self, schedule: Schedule) -> int:
        return len(schedule)

    def start(self, plan: CachePlan) -> _GroupedState:
        return _GroupedState(self._cache.start(plan), self.calls)

    def check(self) -> None:
        """Check the calls of one step; a transformer may leave them all out."""
        layers = range(len(self.calls) // 2)
        require(
            self.calls == [call for layer in layers for call in (("enter", layer), ("leave", layer))],
            f"enter and leave of a cache must be called around each block, not as {self.calls}",
        )
        self.calls.clear()


class _GroupedState:
    def __init__(self, state: CacheState, calls: list[tuple[str, int]]) -> None:
        self._state = state
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def enter(self, layer: int, step: int, x: torch.Tensor) -> torch.Tensor:
        self._calls.append(("enter", layer))
        self._size = x.shape[1]
        return x[:, :1]

    def leave(self, layer: int, step: int, x: torch.Tensor) -> torch.Tensor:
        self._calls.append(("leave", layer))
        require_shape("a block's output for one token", x, (len(x), 1, x.shape[2]))
        return x.expand(-1, self._size, -1)


def _check_guided(session: GuidedSession, expected: torch.Tensor) -> None:
    """Check the first step of a session of two samples, the second one guidance's null half."""
    calls = []

    def first_half(conditional: torch.Tensor, null: torch.Tensor) -> torch.Tensor:
        calls.append((conditional, null))
        return conditional

    logits = session.guided_step(None, 1, first_half)
    require(len(calls) == 1, f"guided_step must call mix once, not {len(calls)} times")
    require_close("a step guided to the first half must give its logits", logits[:1], expected)
