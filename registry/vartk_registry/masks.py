"""Attention masks as descriptions: which query segments see which intervals of keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from .errors import Unsupported
from .neighbourhoods import Neighbourhood, sizes_of

if TYPE_CHECKING:
    import torch

    from .interfaces.schedule import Schedule

Span = tuple[int, int]
"""A half-open interval of key positions."""


@dataclass(frozen=True, slots=True)
class MaskSpec:
    """Consecutive query segments, each with the key intervals that all of its tokens see.

    Args:
        q_lens: the length of each segment.
        kv_spans: for each segment, disjoint ascending intervals [start, stop) of keys; those that
            touch are joined, so that equal masks compare equal.
        kv_len: the number of keys in all.
        near: if given, a query sees those of these keys alone that are near its place. Segments and intervals
            must then be whole maps. Where it hides nothing, it is left out.

    It is hashable and holds no tensor, so that a backend can choose its own form (a bias, block
    mask, cumulative lengths, one call per segment) and keep it by the mask.

    Raises:
        ValueError: the lengths and spans do not describe a mask, or a segment sees no key.
    """

    q_lens: tuple[int, ...]
    kv_spans: tuple[tuple[Span, ...], ...]
    kv_len: int
    near: Neighbourhood | None = None

    def __post_init__(self) -> None:
        if len(self.q_lens) != len(self.kv_spans):
            raise ValueError(f"{len(self.q_lens)} segments but {len(self.kv_spans)} sets of spans")
        if any(length < 0 for length in self.q_lens):
            raise ValueError(f"segments cannot have negative lengths: {self.q_lens}")
        for spans in self.kv_spans:
            edges = [edge for span in spans for edge in span]
            if edges != sorted(edges) or (edges and (edges[0] < 0 or edges[-1] > self.kv_len)):
                raise ValueError(f"spans {spans} are not ascending intervals of {self.kv_len} keys")
        joined = tuple(tuple(_joined(spans)) for spans in self.kv_spans)
        if not all(joined):  # softmax over no key is not a number
            raise ValueError(f"a segment sees no key: {self.kv_spans}")
        object.__setattr__(self, "kv_spans", joined)
        if self.near is not None:
            self._check_maps(self.near)
            if self.pairs() == self._pairs_of_spans():
                object.__setattr__(self, "near", None)

    @classmethod
    def full(cls, q_len: int, kv_len: int) -> MaskSpec:
        """Every query sees every key."""
        return cls((q_len,), (((0, kv_len),),), kv_len)

    @classmethod
    def scale_causal(
        cls, schedule: Schedule, context: int | None = None, neighbourhood: int | None = None
    ) -> MaskSpec:
        """A token sees its own step and all before it: in VAR's training its scale and all coarser ones
        (paper, fig. 4), in raster order itself and all tokens before it (`is_causal`).

        With `context` it sees its own step and that many before it: 0 makes the mask block-diagonal. With
        `neighbourhood`, an odd number, it sees that many rows and columns of each scale around its place
        (MVAR, arXiv 2505.12742).
        """
        spans = schedule.spans
        first = [_first_seen(step, context) for step in range(len(spans))]
        seen = tuple(((spans[a][0], stop),) for a, (_, stop) in zip(first, spans, strict=True))
        near = neighbourhood and Neighbourhood(neighbourhood, schedule.shapes, schedule.shapes)
        return cls(schedule.sizes, seen, schedule.total, near or None)

    @classmethod
    def step(
        cls, schedule: Schedule, step: int, context: int | None = None, neighbourhood: int | None = None
    ) -> MaskSpec:
        """The rows of `scale_causal` that belong to one step of sampling, and the keys that these see."""
        first = _first_seen(step, context)
        shapes = schedule.shapes
        near = neighbourhood and Neighbourhood(
            neighbourhood, shapes[step : step + 1], shapes[first : step + 1]
        )
        kv_len = schedule.spans[step][1] - schedule.spans[first][0]
        return cls((schedule.sizes[step],), (((0, kv_len),),), kv_len, near or None)

    @classmethod
    def block_diagonal(cls, masks: Iterable[MaskSpec]) -> MaskSpec:
        """Masks one after another, each with keys of its own: a batch without padding, as one sequence.

        The masks may be of different schedules.

        Raises:
            Unsupported: one of them is of neighbourhoods.
        """
        q_lens: tuple[int, ...] = ()
        kv_spans: tuple[tuple[Span, ...], ...] = ()
        kv_len = 0
        for mask in masks:
            mask._refuse_near("side by side with others")
            q_lens += mask.q_lens
            kv_spans += mask._moved(kv_len)
            kv_len += mask.kv_len
        return cls(q_lens, kv_spans, kv_len)

    def prefixed(self, length: int) -> MaskSpec:
        """The same mask with `length` keys put in front, which every query sees.

        Raises:
            Unsupported: it is of neighbourhoods, and the keys in front have no places.
        """
        self._refuse_near("with keys in front")
        seen = tuple(((0, length), *spans) for spans in self._moved(length))
        return MaskSpec(self.q_lens, seen, self.kv_len + length)

    @property
    def q_len(self) -> int:
        """The number of queries in all."""
        return sum(self.q_lens)

    @property
    def is_full(self) -> bool:
        """Whether every query sees every key, so that no mask is needed."""
        return self.near is None and all(spans == ((0, self.kv_len),) for spans in self.kv_spans)

    @property
    def is_causal(self) -> bool:
        """Whether query i sees the keys 0 to i and no others, which most kernels have a flag for."""
        return (
            self.near is None
            and self.q_lens == (1,) * self.kv_len
            and all(spans == ((0, stop),) for stop, spans in enumerate(self.kv_spans, start=1))
        )

    def segments(self) -> Iterator[tuple[slice, tuple[Span, ...]]]:
        """Yield each segment that has queries as a slice of them, with its key intervals.

        Raises:
            Unsupported: the mask is of neighbourhoods, so that the queries of a segment see different keys.
        """
        self._refuse_near("a segment at a time")
        yield from self._segments()

    def _segments(self) -> Iterator[tuple[slice, tuple[Span, ...]]]:
        start = 0
        for length, spans in zip(self.q_lens, self.kv_spans, strict=True):
            if length:
                yield slice(start, start + length), spans
            start += length

    def pairs(self) -> int:
        """Return the number of (query, key) pairs; FLOPs are 4 x head_dim x pairs a head."""
        if self.near is None:
            return self._pairs_of_spans()
        q_stops, kv_stops = (
            list(accumulate(sizes_of(grids))) for grids in (self.near.q_grids, self.near.kv_grids)
        )
        return sum(
            self.near.pairs(q_grid, kv_grid)
            for rows, spans in self._segments()
            for q_grid, q_stop in zip(self.near.q_grids, q_stops, strict=True)
            if rows.start < q_stop <= rows.stop
            for kv_grid, kv_stop in zip(self.near.kv_grids, kv_stops, strict=True)
            if any(start < kv_stop <= stop for start, stop in spans)
        )

    def dense(self, device: Any = None) -> torch.Tensor:
        """Return the mask as booleans [q_len, kv_len]; true where a query sees a key."""
        import torch

        seen = torch.zeros(self.q_len, self.kv_len, dtype=torch.bool, device=device)
        for rows, spans in self._segments():
            for start, stop in spans:
                seen[rows, start:stop] = True
        if self.near is not None:
            q, kv = (torch.arange(count, device=device) for count in (self.q_len, self.kv_len))
            seen &= self.near.seen(device)(q[:, None], kv)
        return seen

    def mask_mod(self, device: Any = None) -> Callable[..., torch.Tensor]:
        """Return the mask as a flex-attention function (batch, head, q_index, kv_index) -> seen.

        It reads the edges of a query's intervals, two numbers each, and places, not a dense mask.
        """
        import torch

        count = max((len(spans) for spans in self.kv_spans), default=0)
        lengths = torch.tensor(self.q_lens)
        edges = []
        for i in range(count):  # a segment with fewer intervals gets an empty one
            each = [spans[i] if i < len(spans) else (0, 0) for spans in self.kv_spans]
            of_queries = torch.tensor(each, dtype=torch.int32).repeat_interleave(lengths, dim=0).to(device)
            edges.append(of_queries.unbind(dim=1))

        near = None if self.near is None else self.near.seen(device)

        def mask_mod(batch: Any, head: Any, q: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
            seen = kv < 0
            for starts, stops in edges:
                seen = seen | ((kv >= starts[q]) & (kv < stops[q]))
            return seen if near is None else seen & near(q, kv)

        return mask_mod

    def _pairs_of_spans(self) -> int:
        """Return the number of pairs that the intervals show."""
        return sum(
            length * sum(stop - start for start, stop in spans)
            for length, spans in zip(self.q_lens, self.kv_spans, strict=True)
        )

    def _check_maps(self, near: Neighbourhood) -> None:
        """Check that segments and intervals are whole maps."""
        cuts = (
            {*accumulate(self.q_lens), self.q_len},
            {edge for spans in self.kv_spans for span in spans for edge in span} | {self.kv_len},
        )
        for grids, cut in zip((near.q_grids, near.kv_grids), cuts, strict=True):
            edges = [0, *accumulate(sizes_of(grids))]
            if edges[-1] != max(cut) or cut - set(edges):
                raise ValueError(
                    f"the maps {grids} are not those between {sorted(cut)}, where the mask changes"
                )

    def _refuse_near(self, how: str) -> None:
        if self.near is not None:
            raise Unsupported(
                f"a mask of neighbourhoods cannot be taken {how}: the queries of a scale see different keys; "
                "take attention=eager, sdpa or flex"
            )

    def _moved(self, by: int) -> tuple[tuple[Span, ...], ...]:
        """Return the key intervals, further back by some keys."""
        return tuple(tuple((start + by, stop + by) for start, stop in spans) for spans in self.kv_spans)


def _first_seen(step: int, context: int | None) -> int:
    return 0 if context is None else max(0, step - context)


def _joined(spans: Sequence[Span]) -> Iterator[Span]:
    """Merge ascending intervals that touch, and leave out empty ones."""
    start = stop = 0
    for a, b in spans:
        if a > stop:
            if start < stop:
                yield start, stop
            start = a
        stop = b
    if start < stop:
        yield start, stop
