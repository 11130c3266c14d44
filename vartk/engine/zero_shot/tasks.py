"""The zero-shot tasks of a model: each says what is given, and samples the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch

from vartk_registry import UnknownName, VartkError
from vartk_registry.interfaces import Schedule, Tokenizer

from ...config import ModelConfig
from ..arguments import as_images, as_masks, seeds_of
from ..build import grid
from ..given import Given, Pixels
from ..samples import Samples
from ..scale import ScaleState
from .cells import kept_cells, published_cells
from .fill import filled
from .painting import Painter, windows_for
from .paste import pasted

COMPOSITES = ("paste", "codes")


class ZeroShot(ABC):
    """What `Model` can do with images beside sampling, from what it needs to have for it.

    Settings of sampling, `seed`, `refiner`, `draft` and `watch` are those of `Model.sample`. Labels may be
    None: no class.
    """

    config: ModelConfig
    schedule: Schedule
    tokenizer: Tokenizer

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the weights are."""

    @abstractmethod
    def encode(self, images: torch.Tensor, schedule: Any = None) -> list[torch.Tensor]:
        """Return the codes of images at each scale."""

    @abstractmethod
    def sample(self, labels: Any, *, given: Given | None = None, **settings: Any) -> Samples:
        """Sample an image a label around what is given."""

    @abstractmethod
    def schedule_of(self, schedule: Any) -> Schedule:
        """Return the model's own schedule for None, or the one asked for."""

    def inpaint(
        self,
        images: torch.Tensor,
        masks: torch.Tensor,
        labels: Any = None,
        *,
        seed: int | Sequence[int] = 0,
        composite: str = "paste",
        fit: str = "pad",
        window: int | None = None,
        watch: Callable[[float, ScaleState], None] | None = None,
        **settings: Any,
    ) -> Samples:
        """Draw anew what masks cover: in-painting, and under labels class-conditional editing.

        Args:
            images: [N, 3, H, W] in [-1, 1], of any size.
            masks, composite: see `masked`.
            labels: one an image; None for no class.
            fit: how images of another size than the model's are drawn: "pad" resizes them and fills up,
                "stretch" changes their aspect, "tile" draws overlapping windows one after another. What
                was drawn is resized back; what is kept never is.
            window: with "tile", the shorter side of a window in pixels; None for the model's own.
            seed, watch, settings: of `Model.sample`.

        Raises:
            VartkError: as `masked` and `Model.sample`; images smaller than a cell of the latent, or than a
                window.
        """
        size = grid(self.config.image_size)
        images = self._pictures(images)
        masks = as_masks(masks, images)
        labels = [None] * len(images) if labels is None else labels

        def paint(part: torch.Tensor, drawn: torch.Tensor, **turn: Any) -> Samples:
            given = self.masked(part, drawn, composite=composite, schedule=settings.get("schedule"))
            return self.sample(labels, given=given, **turn, **settings)

        painter = Painter(paint, size, pasted=composite == "paste")
        windows = windows_for(masks, size, fit, window)
        return painter(images, masks, windows, seeds_of(seed, len(images)), watch)

    @torch.no_grad()
    def masked(
        self,
        images: torch.Tensor,
        masks: torch.Tensor,
        *,
        composite: str = "paste",
        schedule: Any = None,
    ) -> Given:
        """Return the cells of images outside masks, for `Model.stream` and `Model.sample`.

        Args:
            images: [N, 3, H, W] in [-1, 1], of the model's size.
            masks: [N, 1, H, W], [N, H, W] or [H, W], from 0 (kept) to 1 (drawn anew).
            composite: "paste" keeps pixels where the mask is 0, bit for bit, blends the edge, and never looks
                at what the mask covers; "codes" gives codes alone, as VAR's zero-shot notebook does: kept
                pixels are only reconstructed.
            schedule: as for `Model.sample`.

        Raises:
            VartkError: images as for `Model.encode`; masks of another shape or range.
        """
        if composite not in COMPOSITES:
            raise UnknownName("composite", composite, COMPOSITES)
        scales = self.schedule_of(schedule)
        images = as_images(images, self.device)
        masks = as_masks(masks, images)
        if composite == "codes":
            codes = self.encode(images, schedule)
            return Given(scales, published_cells(masks, scales), self._embedded(codes))
        codes = self.encode(filled(images, (masks == 0).to(images)), schedule)
        pixels = Pixels((images + 1) / 2, masks, pasted)
        return Given(scales, kept_cells(masks, scales), self._embedded(codes), pixels)

    def _pictures(self, images: Any) -> torch.Tensor:
        """Return images of any size from that of a cell of the latent on; errors as `as_images`."""
        images = as_images(images, self.device)
        sizes = zip(grid(self.config.image_size), self.schedule.latent, strict=True)
        cell_h, cell_w = (pixels // cells for pixels, cells in sizes)
        h, w = images.shape[-2:]
        if h < cell_h or w < cell_w:
            raise VartkError(
                f"images of {h}x{w} pixels are smaller than a cell of the model's latent, {cell_h}x{cell_w}; "
                "resize them"
            )
        return images

    def _embedded(self, codes: list[torch.Tensor]) -> list[torch.Tensor]:
        return [self.tokenizer.embed(code) for code in codes]
