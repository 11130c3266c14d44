"""The check of cache strategies. Legend: B batch, n tokens of a scale, m of them kept, C width."""

from __future__ import annotations

import torch

from ..interfaces import CachePlan, CacheState, CacheStrategy, Schedule
from ..masks import MaskSpec
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
_BRANCHES = ("attention", "ffn")


def check_cache(strategy: CacheStrategy) -> None:
    """Check a strategy over a generation of four scales, narrowed to half the batch for the last.

    One whose `lossless` is true must attend as if every key and value were kept.
    """
    require(isinstance(strategy.lossless, bool), "lossless must be True or False")
    steps, scales = strategy.steps(_PLAN.schedule), len(_PLAN.schedule)
    least = scales if strategy.lossless else 1
    require(least <= steps <= scales, f"steps must be from {least} to {scales} here, not {steps!r}")
    _check_start(strategy)
    state = strategy.start(_PLAN)
    generator = torch.Generator().manual_seed(0)
    taken: list[list[torch.Tensor]] = [[] for _ in range(_PLAN.layers)]
    batch = _PLAN.batch
    for step, size in enumerate(_PLAN.schedule.sizes):
        if step == len(_PLAN.schedule) - 1:
            batch = _NARROWED
            state.narrow(batch)
            taken = [[kv[:, :batch] for kv in layer] for layer in taken]
        for layer in range(_PLAN.layers):
            for branch in _BRANCHES:
                x = torch.randn(batch, size, 8, generator=generator)
                kept = state.select(layer, branch, step, x)
                count = size if kept is None else _kept_count(kept, batch, size)
                if branch == "attention":
                    kv = torch.randn(2, batch, count, _PLAN.heads, _PLAN.head_dim, generator=generator)
                    taken[layer].append(kv)
                    k, v = state.append(layer, step, torch.randn_like(kv[0]), *kv)
                    _check_appended(k, v, taken[layer], strategy.lossless)
                out = torch.randn(batch, count, 8, generator=generator)
                restored = state.restore(layer, branch, step, out.clone(), kept)
                _check_restored(restored, out, kept, size)
        held = sum(kv.nbytes for layer_taken in taken for kv in layer_taken)
        _check_nbytes(state.nbytes(), held if strategy.lossless else 0)


def _check_start(strategy: CacheStrategy) -> None:
    state = strategy.start(_PLAN)
    require(isinstance(state, CacheState), "start must return a CacheState with all its methods")
    k, v = torch.ones(2, _PLAN.batch, _PLAN.schedule.sizes[0], _PLAN.heads, _PLAN.head_dim)
    first = state.append(0, 0, k, k, v)[0].clone()
    second = strategy.start(_PLAN).append(0, 0, k, k, v)[0]
    require(torch.equal(first, second), "a generation must not see what an earlier one has kept")


def _kept_count(kept: torch.Tensor, batch: int, size: int) -> int:
    require(
        kept.ndim == 2 and len(kept) == batch and kept.dtype == torch.int64,
        f"select must return None or int64 indices [B, m], not {kept.dtype} {tuple(kept.shape)}",
    )
    distinct = all(len(set(row)) == len(row) for row in kept.tolist())
    inside = bool(((kept >= 0) & (kept < size)).all())
    require(distinct and inside, f"select must return distinct indices of the {size} tokens")
    return kept.shape[1]


def _check_appended(k: torch.Tensor, v: torch.Tensor, taken: list[torch.Tensor], lossless: bool) -> None:
    newest = taken[-1]
    _, batch, _, heads, head_dim = newest.shape
    require_shape("the keys to attend to", k, (batch, k.shape[1], heads, head_dim))
    require_shape("the values to attend to", v, k.shape)
    if lossless:
        all_k, all_v = torch.cat(taken, dim=2)
        q = newest[0]
        # through attention, for the order of the keys is the strategy's own affair
        rule = "a lossless cache must attend as if every key and value were kept"
        mask = MaskSpec.full(q.shape[1], k.shape[1])
        full = MaskSpec.full(q.shape[1], all_k.shape[1])
        require_close(
            rule,
            dense_attend(q, k, v, mask=mask, scale=1.0),
            dense_attend(q, all_k, all_v, mask=full, scale=1.0),
        )


def _check_restored(restored: torch.Tensor, out: torch.Tensor, kept: torch.Tensor | None, size: int) -> None:
    require_shape("a restored output", restored, (len(out), size, out.shape[-1]))
    if kept is None:
        require_close("restore must return an output of all tokens as it is", restored, out)
    else:
        computed = restored.gather(1, kept[..., None].expand(-1, -1, out.shape[-1]))
        require_close("restore must put the computed tokens in their places", computed, out)


def _check_nbytes(nbytes: int, least: int) -> None:
    require(
        isinstance(nbytes, int) and nbytes >= least,
        f"nbytes must count all tensors that are held, at least {least} here, not {nbytes!r}",
    )
