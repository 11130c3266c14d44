"""One step of a generation, as its consumer sees it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from vartk_registry.interfaces import Schedule

from .canvas import Canvas
from .overflow import Overflow

Decode = Callable[[torch.Tensor], torch.Tensor]
"""Decodes latents [B, channels, H, W] to images in [-1, 1]."""


class ScaleState:
    """One step of a generation, after its draw and before the next step's input is made.

    A step is a scale or, in raster order, a token.

    Attributes:
        step: its index.
        codes: [B, n, *shape], as drawn.
        vectors: [B, n, channels], what is added to the image; assign to it to edit the generation.
        cache_bytes: what the cache holds after this step, for both halves of guidance.
        unrecorded: why the generation was not replayed from a recording; empty if it was.
        finish: changes the decoded images, in [0, 1]; None leaves them as they are.
    """

    def __init__(
        self,
        step: int,
        *,
        codes: torch.Tensor,
        vectors: torch.Tensor,
        before: Canvas,
        cache_bytes: int,
        decode: Decode,
        overflow: Overflow,
        unrecorded: str = "",
    ) -> None:
        self.step = step
        self.cache_bytes = cache_bytes
        self.codes = codes
        self.unrecorded = unrecorded
        self._vectors = vectors
        self._before = before
        self._decode = decode
        self._overflow = overflow
        self._after: Canvas | None = None
        self.finish: Callable[[torch.Tensor], torch.Tensor] | None = None

    @property
    def schedule(self) -> Schedule:
        """The schedule of the generation."""
        return self._before.schedule

    @property
    def place(self) -> str:
        """Where the generation is, as a progress bar shows it."""
        done, steps = f"{self.step + 1}/{len(self.schedule)}", self.schedule
        if steps.raster:
            return f"token {done}"
        h, w = steps.grids[self.step]
        return f"scale {done} ({h}x{w})"

    @property
    def steps(self) -> int:
        """The number of steps of the schedule."""
        return len(self.schedule)

    @property
    def vectors(self) -> torch.Tensor:
        """[B, n, channels], what this step adds to the image."""
        return self._vectors

    @vectors.setter
    def vectors(self, vectors: torch.Tensor) -> None:
        self._vectors = vectors
        self._after = None

    @property
    @torch.no_grad()
    def after(self) -> Canvas:
        """What has been made with this step."""
        if self._after is None:
            self._after = self._before.added(self._vectors)
        return self._after

    @property
    @torch.no_grad()
    def f_hat(self) -> torch.Tensor:
        """[B, channels, H, W], the accumulated latent with this step; later tokens of its scale are 0."""
        return self.after.latent()

    @property
    @torch.no_grad()
    def images(self) -> torch.Tensor:
        """[B, 3, H, W] in [0, 1], the images made so far; decoded at each access.

        Raises:
            VartkError: they, or the logits of a step, are not finite.
        """
        images = (self._decode(self.f_hat) + 1) / 2
        self._overflow.watch_images(images)
        self._overflow.check()
        return images if self.finish is None else self.finish(images)
