"""What a generation has made so far, and what its transformer sees of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch.nn import functional as F

from vartk_registry.interfaces import Schedule, Tokenizer


@dataclass(frozen=True, slots=True)
class Canvas:
    """The image so far: whole scales as an accumulated latent, and the vectors of the scale in work.

    Where a step is a scale, every scale is whole. In raster order a scale is accumulated once, when its
    last token is there.

    Attributes:
        f_hat: [B, channels, H, W] of the scales that are whole; None before the first.
        scales: the number of them.
        pending: the vectors [B, n, channels] of the steps after them.
        last: the vectors of the last step, whole or not; None before the first.
    """

    tokenizer: Tokenizer
    schedule: Schedule
    f_hat: torch.Tensor | None = None
    scales: int = 0
    pending: tuple[torch.Tensor, ...] = ()
    last: torch.Tensor | None = None

    def added(self, vectors: torch.Tensor) -> Canvas:
        """Return the canvas after a step's vectors [B, n, channels]."""
        pending = (*self.pending, vectors)
        if self.schedule.raster and len(pending) < self._size:
            return replace(self, pending=pending, last=vectors)
        return replace(self, f_hat=self._with(pending), scales=self.scales + 1, pending=(), last=vectors)

    def next_input(self) -> torch.Tensor | None:
        """Return the transformer's input [B, n, channels] for the next step; None at the first.

        In raster order it is the vector of the token before, else what the tokenizer makes of the latent.
        """
        if self.schedule.raster:
            return self.last
        if self.f_hat is None:
            return None
        return self.tokenizer.next_input(self.f_hat, self.scales, self.schedule)

    def latent(self) -> torch.Tensor:
        """Return the accumulated latent [B, channels, H, W]; tokens that are not made yet add nothing."""
        return self._with(self.pending) if self.pending else self.f_hat

    @property
    def _size(self) -> int:
        """The tokens of the scale in work."""
        h, w = self.schedule.grids[self.scales]
        return h * w

    def _with(self, pending: tuple[torch.Tensor, ...]) -> torch.Tensor:
        vectors = pending[0] if len(pending) == 1 else torch.cat(pending, dim=1)
        if missing := self._size - vectors.shape[1]:
            vectors = F.pad(vectors, (0, 0, 0, missing))
        return self.tokenizer.accumulate(self.f_hat, vectors, self.scales, self.schedule.scales)
