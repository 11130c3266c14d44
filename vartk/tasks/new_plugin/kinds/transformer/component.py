"""The transformer `my-name`.

Legend: B batch, n tokens of a step, m of them computed, L of all steps, T keys, H heads, D head dim, C width.
"""

from collections.abc import Callable

import torch
from torch import nn

from vartk_registry import MaskSpec, VartkError
from vartk_registry.interfaces import (
    Attend,
    AttendingState,
    CachePlan,
    CacheStrategy,
    CodeSpace,
    Condition,
    GroupingState,
    MergingState,
    Schedule,
)


class Block(nn.Module):
    """Self-attention and a feed-forward layer, with a norm before each."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def attention(self, x_BnC: torch.Tensor, attend: Callable[..., torch.Tensor]) -> torch.Tensor:
        """Return the output of attention; `attend` takes q, k, v [B, n, H, D]."""
        q, k, v = self.qkv(self.attention_norm(x_BnC)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        return self.out(attend(q, k, v).flatten(2))

    def feed_forward(self, x_BnC: torch.Tensor) -> torch.Tensor:
        """Return the output of the feed-forward layer."""
        return self.feed(self.feed_norm(x_BnC))


class MyComponent(nn.Module):
    """Pre-norm blocks. The condition is added to each token, and so is the place of its cell.

    Args:
        schedule: the grids that it is trained on; positions do not depend on them.
        space: what a code is.
        channels: width of the inputs.
        depth, width, heads: the size.
    """

    def __init__(
        self, *, schedule: Schedule, space: CodeSpace, channels: int, depth: int, width: int, heads: int
    ) -> None:
        super().__init__()
        if width % heads:
            raise VartkError(f"width={width} is not divided by heads={heads}; give a multiple of it")
        self.width, self.heads, self.space = width, heads, space
        self.scale = (width // heads) ** -0.5
        self.embed, self.place = nn.Linear(channels, width), nn.Linear(3, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, space.width)

    def forward(
        self, inputs: torch.Tensor, condition: Condition, schedule: Schedule, attend: Attend
    ) -> torch.Tensor:
        """Return the logits [B, L, *shape, classes] of all steps."""
        mask = MaskSpec.scale_causal(schedule)
        first = inputs.new_zeros(len(inputs), schedule.sizes[0], self.width)
        x = torch.cat((first, self.embed(inputs)), dim=1) + self.around(condition, schedule)
        for block in self.blocks:
            x = x + block.attention(x, lambda q, k, v: attend(q, k, v, mask=mask, scale=self.scale))
            x = x + block.feed_forward(x)
        return self.logits(x)

    def around(self, condition: Condition, schedule: Schedule) -> torch.Tensor:
        """Return what is added to every token [B, L, C]: the condition, and its place and scale."""
        cells = [
            ((row + 0.5) / h, (column + 0.5) / w, 1 / max(h, w))
            for h, w in schedule.grids
            for row in range(h)
            for column in range(w)
        ]
        places = torch.tensor(cells, device=condition.vector.device, dtype=self.place.weight.dtype)
        return condition.vector[:, None] + self.place(places)

    def logits(self, x_BnC: torch.Tensor) -> torch.Tensor:
        """Return the logits [B, n, *shape, classes] of tokens."""
        return self.head(self.norm(x_BnC)).unflatten(-1, self.space.logits_shape)

    def begin(
        self, condition: Condition, schedule: Schedule, cache: CacheStrategy, attend: Attend
    ) -> "Session":
        """Start a generation."""
        return Session(self, condition, schedule, cache, attend)


class Session:
    """One generation: what is added to the tokens, and the cache."""

    def __init__(
        self,
        model: MyComponent,
        condition: Condition,
        schedule: Schedule,
        cache: CacheStrategy,
        attend: Attend,
    ) -> None:
        self._model, self._attend = model, attend
        self._spans, self._step = schedule.spans, 0
        self._around_BLC = model.around(condition, schedule)
        plan = CachePlan(
            schedule=schedule,
            layers=len(model.blocks),
            batch=len(condition),
            heads=model.heads,
            head_dim=model.width // model.heads,
            scale=model.scale,
            dtype=self._around_BLC.dtype,
            device=self._around_BLC.device,
        )
        self.cache = cache.start(plan)

    def step(self, inputs: torch.Tensor | None) -> torch.Tensor:
        """Return the logits of the next step, given its inputs [B, n, channels]; None at the first."""
        start, stop = self._spans[self._step]
        x = self._around_BLC[:, start:stop]
        if inputs is not None:
            x = x + self._model.embed(inputs)
        for layer, block in enumerate(self._model.blocks):
            if isinstance(self.cache, GroupingState):
                x = self.cache.enter(layer, self._step, x)
            x = x + self._computed(layer, "attention", x, self._attention(layer, block))
            x = x + self._computed(layer, "ffn", x, block.feed_forward)
            if isinstance(self.cache, GroupingState):
                x = self.cache.leave(layer, self._step, x)
        self._step += 1
        return self._model.logits(x)

    def narrow(self, batch: int) -> None:
        """Go on with the first `batch` samples alone."""
        self._around_BLC = self._around_BLC[:batch]
        self.cache.narrow(batch)

    def _attention(self, layer: int, block: Block) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the attention of a block over the keys and values that the cache keeps."""

        def over(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            mask = MaskSpec.full(q.shape[1], k.shape[1])
            return self._attend(q, k, v, mask=mask, scale=self._model.scale)

        def cached(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            if isinstance(self.cache, AttendingState):
                return self.cache.attend(layer, self._step, q, k, v, over)
            return over(q, *self.cache.append(layer, self._step, q, k, v))

        return lambda x: block.attention(x, cached)

    def _computed(
        self,
        layer: int,
        branch: str,
        x_BnC: torch.Tensor,
        compute: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """Return a sub-layer's output [B, n, C], computed for the tokens that the cache selects."""
        kept_Bm = self.cache.select(layer, branch, self._step, x_BnC)
        if kept_Bm is None:
            x_BmC = x_BnC
        elif isinstance(self.cache, MergingState):
            x_BmC = self.cache.merge(layer, branch, self._step, x_BnC, kept_Bm)
        else:
            x_BmC = x_BnC.gather(1, kept_Bm[..., None].expand(-1, -1, x_BnC.shape[-1]))
        return self.cache.restore(layer, branch, self._step, compute(x_BmC), kept_Bm)
