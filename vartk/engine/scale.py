"""One scale of a generation, as its consumer sees it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from vartk_registry.interfaces import Schedule, Tokenizer

from .overflow import Overflow

Decode = Callable[[torch.Tensor], torch.Tensor]
"""Decodes latents [B, channels, H, W] to images in [-1, 1]."""


class ScaleState:
    """One scale of a generation, after its draw and before the next scale's input is made.

    Attributes:
        step: the scale's index.
        schedule: of the generation.
        codes: [B, n, *shape], as drawn.
        vectors: [B, n, channels], what is added to the image; assign to it to edit the generation.
        cache_bytes: what the cache holds after this scale, for both halves of guidance.
        unrecorded: why the generation was not replayed from a recording; empty if it was.
        finish: changes the decoded images, in [0, 1]; None leaves them as they are.
    """

    def __init__(
        self,
        step: int,
        *,
        codes: torch.Tensor,
        vectors: torch.Tensor,
        before: torch.Tensor | None,
        cache_bytes: int,
        tokenizer: Tokenizer,
        schedule: Schedule,
        decode: Decode,
        overflow: Overflow,
        unrecorded: str = "",
    ) -> None:
        self.step = step
        self.schedule = schedule
        self.cache_bytes = cache_bytes
        self.codes = codes
        self.unrecorded = unrecorded
        self._vectors = vectors
        self._before = before
        self._tokenizer = tokenizer
        self._decode = decode
        self._overflow = overflow
        self._f_hat: torch.Tensor | None = None
        self.finish: Callable[[torch.Tensor], torch.Tensor] | None = None

    @property
    def vectors(self) -> torch.Tensor:
        """[B, n, channels], what this scale adds to the image."""
        return self._vectors

    @vectors.setter
    def vectors(self, vectors: torch.Tensor) -> None:
        self._vectors = vectors
        self._f_hat = None

    @property
    @torch.no_grad()
    def f_hat(self) -> torch.Tensor:
        """[B, channels, H, W], the accumulated latent with this scale."""
        if self._f_hat is None:
            self._f_hat = self._tokenizer.accumulate(self._before, self._vectors, self.step, self.schedule)
        return self._f_hat

    @property
    @torch.no_grad()
    def images(self) -> torch.Tensor:
        """[B, 3, H, W] in [0, 1], the images made so far; decoded at each access.

        Raises:
            VartkError: they, or the logits of a scale, are not finite.
        """
        images = (self._decode(self.f_hat) + 1) / 2
        self._overflow.watch_images(images)
        self._overflow.check()
        return images if self.finish is None else self.finish(images)
