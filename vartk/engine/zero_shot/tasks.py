"""The zero-shot tasks of a model: each says what is given, and samples the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from vartk_registry import VartkError, shown

from ..arguments import as_choice, as_images, as_masks, as_watcher, is_count, seeds_of
from ..blend import between
from ..build import grid
from ..samples import Samples
from ..scale import ScaleState
from .base import GivesCells
from .canvas import on_canvas, window_for
from .painting import FITS, Painter, windows_for
from .upscaling import enlarged, projected, scales_shown


class ZeroShot(GivesCells):
    """What a model that was trained to sample can also do with images.

    Settings of sampling, `seed`, `refiner`, `draft` and `watch` are those of `Model.sample`. Labels may be
    None: no class.
    """

    def inpaint(
        self,
        images: torch.Tensor,
        masks: torch.Tensor,
        labels: Any = None,
        *,
        seed: int | Sequence[int] = 0,
        keep: int = 0,
        composite: str = "paste",
        fit: str = "pad",
        window: int | None = None,
        watch: Callable[[float, ScaleState], None] | None = None,
        **settings: Any,
    ) -> Samples:
        """Draw anew what masks cover: in-painting, and under labels class-conditional editing.

        Args:
            images: [N, 3, H, W] in [-1, 1], of any size.
            masks, keep, composite: see `given`.
            labels: one an image; None for no class.
            fit: how images of another size than the model's are drawn: "pad" resizes them and fills up,
                "stretch" changes their aspect, "tile" draws overlapping windows one after another. What
                was drawn is resized back; what is kept never is.
            window: with "tile", the shorter side of a window in pixels; None for the model's own.
            seed, watch, settings: of `Model.sample`.

        Raises:
            VartkError: as `given` and `Model.sample`; images smaller than a cell of the latent, or than a
                window.
        """
        size, watch = grid(self.config.image_size), as_watcher(watch)
        images = self._pictures(images)
        masks = as_masks(masks, images)
        labels = [None] * len(images) if labels is None else labels
        schedule = self._schedule_in(settings)

        def paint(part: torch.Tensor, drawn: torch.Tensor, **turn: Any) -> Samples:
            given = self.given(part, drawn, keep=keep, composite=composite, schedule=schedule)
            return self.sample(labels, given=given, **turn, **settings)

        painter = Painter(paint, size, pasted=composite == "paste")
        windows = windows_for(masks, size, fit, window)
        return painter(images, masks, windows, seeds_of(seed, len(images)), watch)

    def outpaint(
        self,
        images: torch.Tensor,
        labels: Any = None,
        *,
        canvas: Sequence[float],
        at: str = "center",
        fit: str = "tile",
        window: int | None = None,
        **settings: Any,
    ) -> Samples:
        """Draw around images on a larger canvas.

        Args:
            images, labels: as for `inpaint`.
            canvas: its width and height, in those of the images: (2, 1) doubles the width.
            at: where the images are on it: "center", "left", "top-left" and so on.
            fit: as for `inpaint`: "tile" draws window after window, from the image outwards; "pad" draws
                the whole canvas at once.
            window: the shorter side of a window in pixels; None for that of the images, and at least the
                model's.
            settings: of `inpaint`, `seed` and `watch` among them.

        Raises:
            VartkError: as `inpaint`, or the canvas is not larger than the images.
        """
        images = self._pictures(images)
        placed, masks = on_canvas(images, canvas, at)
        if as_choice("fit", fit, FITS) == "tile" and window is None:
            window = window_for(images.shape[-2:], placed.shape[-2:], grid(self.config.image_size))
        return self.inpaint(placed, masks, labels, fit=fit, window=window, **settings)

    def vary(
        self,
        images: torch.Tensor,
        labels: Any = None,
        *,
        keep: int,
        fit: str = "pad",
        **settings: Any,
    ) -> Samples:
        """Keep the first scales of images and draw the others: variations, close ones for many scales.

        Args:
            images, labels, fit: as for `inpaint`.
            keep: scales that are kept, from 0 (this is sampling) to all (this is reconstruction).
            settings: of `Model.sample`, `seed` and `watch` among them.

        Raises:
            VartkError: as `inpaint`.
        """
        everything = torch.ones(images.shape[-2:]) if isinstance(images, torch.Tensor) else None
        return self.inpaint(images, everything, labels, keep=keep, fit=fit, **settings)

    def upscale(
        self,
        images: torch.Tensor,
        labels: Any = None,
        *,
        factor: float,
        keep: int | None = None,
        **settings: Any,
    ) -> Samples:
        """Enlarge images: their coarse scales are given, the finer ones are drawn.

        What is drawn is corrected until it equals the images at their size (back-projection). An enlarged
        picture that is larger than the model's is drawn in overlapping windows.

        Args:
            images: [N, 3, H, W] in [-1, 1], of any size.
            labels: one an image; None for no class.
            factor: how many times larger the result is.
            keep: scales that are given; None for those that images of this size determine (`scales_shown`).
            settings: of `inpaint`.

        Raises:
            VartkError: as `inpaint`, or the factor is not above 1.
        """
        images = self._pictures(images)
        size = grid(self.config.image_size)
        large = enlarged(images, factor)
        fits = all(side >= own for side, own in zip(large.shape[-2:], size, strict=True))
        if keep is None:
            again = 1.0 if fits else max(side / own for side, own in zip(large.shape[-2:], size, strict=True))
            shown = min(1.0, again / factor)  # of the model's resolution, which draws a small result larger
            keep = scales_shown(self.schedule_of(self._schedule_in(settings)), shown)
        made = self.vary(large, labels, keep=keep, fit="tile" if fits else "pad", **settings)
        return replace(made, images=projected(made.images, (images.cpu() + 1) / 2))

    def interpolate(
        self,
        start: Any,
        end: Any,
        labels: Any = None,
        *,
        steps: int = 8,
        seed: int = 0,
        keep: int | None = None,
        **settings: Any,
    ) -> Samples:
        """Return images on the way between two images, through their latents, or two classes.

        Args:
            start, end: images [3, H, W] in [-1, 1] of the model's size, or labels.
            labels: between images: one for all of them; None for no class.
            steps: images, the two ends among them.
            seed: of every image, so that they differ by what is between the ends alone.
            keep: between images: scales that are interpolated, the others being drawn; None for all of them.
            settings: of `Model.sample`.

        Raises:
            VartkError: there are fewer than two steps, one end is an image and the other a label; errors of
                `given` and `Model.sample`.
        """
        if not is_count(steps, 2):
            raise VartkError(f"steps={shown(steps)} is no way between two ends; give 2 or more")
        if isinstance(start, torch.Tensor) != isinstance(end, torch.Tensor):
            raise VartkError("one end is an image and the other a label; give two images, or two labels")
        shares = torch.linspace(0, 1, steps)
        seeds = [seed] * steps
        if not isinstance(start, torch.Tensor):
            blends = [between(start, end, share) for share in shares.tolist()]
            return self.sample(blends, seed=seeds, **settings)
        schedule = self._schedule_in(settings)
        keep = len(self.schedule_of(schedule)) if keep is None else keep
        ends = [as_images(image[None], self.device) for image in (start, end)]
        a, b = (self.given(image, keep=keep, schedule=schedule) for image in ends)
        given = a.towards(b, shares.to(self.device))
        return self.sample([labels] * steps, given=given, seed=seeds, **settings)
