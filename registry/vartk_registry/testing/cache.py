"""The check of cache strategies. Legend: B batch, n tokens of a scale, m of them kept, C width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ..interfaces import (
    AttendingState,
    CachePlan,
    CacheState,
    CacheStrategy,
    DrawingStrategy,
    GroupingState,
    MergingState,
    Schedule,
    UnconditionalStrategy,
)
from ..masks import MaskSpec
from ..noise import KeyedNoise
from .attention import dense_attend
from .rules import require, require_close, require_shape

_PLAN = CachePlan(
    schedule=Schedule.of((1, 2, 3, (3, 4))),
    layers=2,
    batch=4,
    heads=2,
    head_dim=4,
    scale=1.0,
    dtype=torch.float32,
    device=torch.device("cpu"),
)
_NARROWED = 2
_WIDTH = 8
_BRANCHES = ("attention", "cross_attention", "ffn")


def check_cache(strategy: CacheStrategy) -> None:
    """Check a strategy over a generation of four scales, narrowed to half the batch for the last.

    One whose `lossless` is true must attend as if every key and value were kept. The bytes that a state
    counts must be those of the tensors found in its attributes, and in theirs.
    """
    require(isinstance(strategy.lossless, bool), "lossless must be True or False")
    steps, scales = strategy.steps(_PLAN.schedule), len(_PLAN.schedule)
    least = scales if strategy.lossless else 1
    require(least <= steps <= scales, f"steps must be from {least} to {scales} here, not {steps!r}")
    if isinstance(strategy, UnconditionalStrategy):
        first = strategy.unconditional_from(_PLAN.schedule)
        least = scales if strategy.lossless else 1
        require(
            least <= first <= scales, f"unconditional_from must be from {least} to {scales}, not {first!r}"
        )
    _check_start(strategy)
    if isinstance(strategy, DrawingStrategy):
        strategy = strategy.seeded(KeyedNoise(torch.arange(_NARROWED)))
        require(isinstance(strategy, CacheStrategy), "seeded must return a CacheStrategy")
    state = strategy.start(_PLAN)
    generator = torch.Generator().manual_seed(0)
    taken: list[list[torch.Tensor]] = [[] for _ in range(_PLAN.layers)]
    batch = _PLAN.batch
    for step, size in enumerate(_PLAN.schedule.sizes[:steps]):
        if step == steps - 1:
            batch = _NARROWED
            state.narrow(batch)
            _check_nbytes(state, strategy)
            taken = [[kv[:, :batch] for kv in layer] for layer in taken]
        tokens = torch.randn(batch, size, _WIDTH, generator=generator)
        for layer in range(_PLAN.layers):
            if isinstance(state, GroupingState):
                tokens = _entered(state, strategy, layer, step, tokens)
            for branch in _BRANCHES:
                count = tokens.shape[1]
                x = torch.randn(batch, count, _WIDTH, generator=generator)
                kept = state.select(layer, branch, step, x)
                if kept is not None:
                    count = _kept_count(kept, batch, count)
                    if isinstance(state, MergingState):
                        merged = state.merge(layer, branch, step, x, kept)
                        require_shape("a merged input", merged, (batch, count, _WIDTH))
                if branch == "attention":
                    q, *kv = torch.randn(3, batch, count, _PLAN.heads, _PLAN.head_dim, generator=generator)
                    taken[layer].append(torch.stack(kv))
                    out = _attended(state, layer, step, q, *kv)
                    if strategy.lossless:
                        _check_attended(q, taken[layer], out)
                out = torch.randn(batch, count, _WIDTH, generator=generator)
                restored = state.restore(layer, branch, step, out.clone(), kept)
                _check_restored(restored, out, kept, x.shape[1])
            if isinstance(state, GroupingState):
                tokens = _left(state, strategy, layer, step, tokens, size)
        _check_nbytes(state, strategy)


def _check_start(strategy: CacheStrategy) -> None:
    state = strategy.start(_PLAN)
    require(isinstance(state, CacheState), "start must return a CacheState with all its methods")
    k, v = torch.ones(2, _PLAN.batch, _PLAN.schedule.sizes[0], _PLAN.heads, _PLAN.head_dim)
    first = state.append(0, 0, k, k, v)[0].clone()
    second = strategy.start(_PLAN).append(0, 0, k, k, v)[0]
    require(torch.equal(first, second), "a generation must not see what an earlier one has kept")


def _entered(
    state: GroupingState, strategy: CacheStrategy, layer: int, step: int, tokens: torch.Tensor
) -> torch.Tensor:
    """Return the tokens that a block works on."""
    entered = state.enter(layer, step, tokens.clone())
    batch, count, width = tokens.shape
    require_shape("the tokens that enter a block", entered, (batch, entered.shape[1], width))
    require(1 <= entered.shape[1] <= count, f"enter must return 1 to {count} tokens here")
    if strategy.lossless:
        require_close("enter of a lossless cache must return the tokens as they are", entered, tokens)
    return entered


def _left(
    state: GroupingState, strategy: CacheStrategy, layer: int, step: int, tokens: torch.Tensor, size: int
) -> torch.Tensor:
    """Return the tokens after a block, which are all tokens of the scale after the last one."""
    left = state.leave(layer, step, tokens.clone())
    batch, _, width = tokens.shape
    count = size if layer == _PLAN.layers - 1 else left.shape[1]
    require_shape("the tokens that leave a block", left, (batch, count, width))
    require(left.shape[1] <= size, f"leave must return at most {size} tokens here")
    if strategy.lossless:
        require_close("leave of a lossless cache must return the tokens as they are", left, tokens)
    return left


def _kept_count(kept: torch.Tensor, batch: int, size: int) -> int:
    require(
        kept.ndim == 2 and len(kept) == batch and kept.dtype == torch.int64,
        f"select must return None or int64 indices [B, m], not {kept.dtype} {tuple(kept.shape)}",
    )
    distinct = all(len(set(row)) == len(row) for row in kept.tolist())
    inside = bool(((kept >= 0) & (kept < size)).all())
    require(distinct and inside, f"select must return distinct indices of the {size} tokens")
    return kept.shape[1]


def _attended(
    state: CacheState, layer: int, step: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
) -> torch.Tensor:
    """Return the attention's output for a scale, after checks of what it attends to."""

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        batch, n, heads, head_dim = q.shape
        require_shape("the keys to attend to", k, (batch, k.shape[1], heads, head_dim))
        require_shape("the values to attend to", v, k.shape)
        return dense_attend(q, k, v, mask=MaskSpec.full(n, k.shape[1]), scale=_PLAN.scale)

    if isinstance(state, AttendingState):
        out = state.attend(layer, step, q, k, v, attend)
        require_shape("the output of attend", out, q.shape)
        return out
    return attend(q, *state.append(layer, step, q, k, v))


def _check_attended(q: torch.Tensor, taken: list[torch.Tensor], out: torch.Tensor) -> None:
    # the output, for the order of the keys is the strategy's own affair
    k, v = torch.cat(taken, dim=2)
    full = dense_attend(q, k, v, mask=MaskSpec.full(q.shape[1], k.shape[1]), scale=_PLAN.scale)
    require_close("a lossless cache must attend as if every key and value were kept", out, full)


def _check_restored(restored: torch.Tensor, out: torch.Tensor, kept: torch.Tensor | None, size: int) -> None:
    require_shape("a restored output", restored, (len(out), size, out.shape[-1]))
    if kept is None:
        require_close("restore must return an output of all tokens as it is", restored, out)
    else:
        computed = restored.gather(1, kept[..., None].expand(-1, -1, out.shape[-1]))
        require_close("restore must put the computed tokens in their places", computed, out)


def _check_nbytes(state: CacheState, strategy: CacheStrategy) -> None:
    nbytes = state.nbytes()
    storages = {
        storage.data_ptr(): storage.nbytes()
        for tensor in _tensors(state, {id(strategy)})
        for storage in [tensor.untyped_storage()]
    }
    held = sum(storages.values())
    require(
        isinstance(nbytes, int) and nbytes == held,
        f"nbytes must count all tensors that are held, {held} bytes here, not {nbytes!r}",
    )


def _tensors(value: Any, seen: set[int]) -> Iterator[torch.Tensor]:
    """Yield the tensors in an object's attributes and in containers, but not in objects `seen`."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item, seen)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _tensors(item, seen)
    elif not isinstance(value, type) and type(value).__module__ not in ("builtins", "torch"):
        slots = [name for base in type(value).__mro__ for name in getattr(base, "__slots__", ())]
        for name in (*getattr(value, "__dict__", ()), *slots):
            yield from _tensors(getattr(value, name, None), seen)
