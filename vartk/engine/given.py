"""What a generation is given: latent cells that are not drawn, and pixels that are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from vartk_registry import VartkError, counted
from vartk_registry.interfaces import Schedule

from .scale import ScaleState


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pixels that a generation keeps.

    Attributes:
        images: [N, 3, H, W] in [0, 1].
        masks: [N, 1, H, W], from 0 (kept) to 1 (drawn).
        paste: puts drawn images into `images` under `masks`, three tensors on one device.
    """

    images: torch.Tensor
    masks: torch.Tensor
    paste: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

    def __getitem__(self, rows: slice) -> Pixels:
        return Pixels(self.images[rows], self.masks[rows], self.paste)

    def around(self, drawn: torch.Tensor) -> torch.Tensor:
        """Return drawn images [N, 3, H, W] with these pixels around them."""
        return self.paste(drawn, self.images.to(drawn.device), self.masks.to(drawn.device))


@dataclass(frozen=True, slots=True)
class Given:
    """Latent cells that a generation is given at each scale, and what they hold.

    Every zero-shot task is one of these. In-painting gives the cells outside a mask, a variation gives the
    first scales. `Model.sample` and `Model.stream` take it.

    Attributes:
        schedule: the scales.
        weights: for each scale [N, h*w, 1], from 0 (the cell is drawn) to 1 (it is given).
        vectors: for each scale [N, h*w, channels], what the given cells hold.
        pixels: what is kept of the images' pixels; None for nothing.
    """

    schedule: Schedule
    weights: Sequence[torch.Tensor]
    vectors: Sequence[torch.Tensor]
    pixels: Pixels | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.vectors[0])

    def __getitem__(self, rows: slice) -> Given:
        """Return what some of the images are given."""
        weights, vectors = ([scale[rows] for scale in part] for part in (self.weights, self.vectors))
        return Given(self.schedule, weights, vectors, self.pixels and self.pixels[rows])

    def towards(self, end: Given, shares: torch.Tensor) -> Given:
        """Return what N images are given between this image and another, by the other's shares [N].

        Both are for one image; the given cells are this one's, and no pixels are kept.
        """
        share = shares.view(-1, 1, 1)
        vectors = [a.lerp(b, share) for a, b in zip(self.vectors, end.vectors, strict=True)]
        weights = [weight.expand(len(shares), -1, -1) for weight in self.weights]
        return Given(self.schedule, weights, vectors)

    def check(self, schedule: Schedule, count: int) -> None:
        """Raise `VartkError` unless this is for `count` images of a schedule of whole scales."""
        if schedule.raster:
            raise VartkError(
                "zero-shot tasks give cells at each scale, and this model draws a code at a time (raster "
                "order); take a model with another schedule"
            )
        if schedule != self.schedule:
            raise VartkError(
                f"the given cells are for the scales {self.schedule}, the generation has {schedule}; make "
                "both with one schedule"
            )
        if len(self) != count:
            raise VartkError(f"cells of {counted(len(self), 'image')} for {count}; give one label an image")

    def put(self, state: ScaleState) -> None:
        """Replace what a scale drew in the given cells."""
        weight = self.weights[state.step].to(state.vectors.device)
        given = self.vectors[state.step].to(state.vectors)
        state.vectors = torch.where(weight == 1, given, state.vectors.lerp(given, weight))
        if self.pixels is not None:
            state.finish = self.pixels.around
