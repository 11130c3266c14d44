"""The zero-shot tasks of a model: each says what is given, and samples the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch

from vartk_registry import UnknownName
from vartk_registry.interfaces import Schedule, Tokenizer

from ..arguments import as_images, as_masks
from ..given import Given, Pixels
from ..samples import Samples
from .cells import kept_cells, published_cells
from .fill import filled
from .paste import pasted

COMPOSITES = ("paste", "codes")


class ZeroShot(ABC):
    """What `Model` can do with images beside sampling, from what it needs to have for it.

    Settings of sampling, `seed`, `refiner`, `draft` and `watch` are those of `Model.sample`. Labels may be
    None: no class.
    """

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
        composite: str = "paste",
        **settings: Any,
    ) -> Samples:
        """Draw anew what masks cover: in-painting, and under labels class-conditional editing.

        Args:
            images, masks, composite: see `masked`.
            labels: one an image; None for no class.
            settings: of `Model.sample`.

        Raises:
            VartkError: as `masked` and `Model.sample`.
        """
        given = self.masked(images, masks, composite=composite, schedule=settings.get("schedule"))
        return self.sample([None] * len(given) if labels is None else labels, given=given, **settings)

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
            images: [N, 3, H, W] in [-1, 1].
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

    def _embedded(self, codes: list[torch.Tensor]) -> list[torch.Tensor]:
        return [self.tokenizer.embed(code) for code in codes]
