"""What a model needs to have for the zero-shot tasks, and what each of them gives a generation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import Schedule, Tokenizer

from ...config import ModelConfig, SamplingConfig, Slot
from ..arguments import as_choice, as_images, as_masks, as_scales
from ..build import grid
from ..given import Given, Pixels
from ..inference.decoding import CELLS
from ..samples import Samples
from .cells import kept_cells, published_cells
from .fill import filled
from .paste import pasted

COMPOSITES = ("paste", "codes")

NO_SETTINGS = ("seed", "watch", "refiner", "draft", "negative", "composite", "fit", "window")
"""Arguments of the tasks and of `Model.sample` that are no settings of sampling."""


class GivesCells(ABC):
    """A model whose generations can be given cells of images."""

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
    def sampling(self, **settings: Any) -> SamplingConfig:
        """Return the defaults for sampling with settings merged in."""

    @abstractmethod
    def schedule_of(self, schedule: Any) -> Schedule:
        """Return the model's own schedule for None, or the one asked for."""

    @torch.no_grad()
    def given(
        self,
        images: torch.Tensor,
        masks: torch.Tensor | None = None,
        *,
        keep: int = 0,
        composite: str = "paste",
        schedule: Any = None,
    ) -> Given:
        """Return the cells of images outside masks, for `Model.stream` and `Model.sample`.

        Args:
            images: [N, 3, H, W] in [-1, 1], of the model's size.
            masks: [N, 1, H, W], [N, H, W] or [H, W], from 0 (kept) to 1 (drawn anew); None draws everything,
                but for the scales that are kept.
            keep: scales, from the first, of which all cells are given.
            composite: "paste" keeps pixels where the mask is 0, bit for bit, blends the edge, and never looks
                at what the mask covers, unless scales are kept; "codes" gives codes alone, as VAR's
                zero-shot notebook does: kept pixels are only reconstructed.
            schedule: as for `Model.sample`.

        Raises:
            VartkError: images as for `Model.encode`; masks of another shape or range; `keep` is not from 0 to
                the number of scales.
        """
        as_choice("composite", composite, COMPOSITES)
        scales = self.schedule_of(schedule)
        keep = as_scales("keep", keep, len(scales))
        images = as_images(images, self.device)
        masks = as_masks(torch.ones(images.shape[-2:]) if masks is None else masks, images)
        pixels = None
        if composite == "codes":
            weights = published_cells(masks, scales)
        else:
            weights, pixels = kept_cells(masks, scales), Pixels((images + 1) / 2, masks, pasted)
        if composite == "paste" and not keep:
            images = filled(images, (masks == 0).to(images))
        weights = [torch.ones_like(cells) for cells in weights[:keep]] + weights[keep:]
        at_once = max(1, CELLS // math.prod(scales.latent))
        encoded = [self.encode(part, schedule) for part in images.split(at_once)]
        vectors = [self.tokenizer.embed(torch.cat(codes)) for codes in zip(*encoded, strict=True)]
        return Given(scales, weights, vectors, pixels)

    def _schedule_in(self, settings: Mapping[str, Any]) -> Slot:
        """Return the schedule of a generation with settings, arguments of a task among them."""
        of_sampling = {key: value for key, value in settings.items() if key not in NO_SETTINGS}
        return self.sampling(**of_sampling).schedule

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
