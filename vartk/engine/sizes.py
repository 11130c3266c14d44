"""Other image sizes than a model's own: the schedule that they need, and what the model was trained for."""

from __future__ import annotations

import functools
import logging
from typing import Any

from vartk_registry import Registry
from vartk_registry.interfaces import Grid, Schedule, Tokenizer

from ..config import OWN, ModelConfig, Slot
from .build import build_schedule, cell_of, grid

log = logging.getLogger(__name__)


def schedule_for(
    config: ModelConfig,
    tokenizer: Tokenizer,
    schedule: Schedule,
    registry: Registry,
    slot: Slot | None,
    size: Any,
) -> Schedule:
    """Return a model's own schedule for None, or the one of a slot, for its own or another image size.

    Args:
        config, tokenizer, schedule: the model's.
        size: as `size` of `SamplingConfig`; None for the model's own.

    Raises:
        VartkError: the size does not fit the tokenizer, or the schedule does not fit the size.
    """
    pixels = grid(config.image_size if size is None else size, "size")
    latent = schedule.latent if size is None else tokenizer.latent_grid(pixels)
    cell = cell_of(pixels, latent)
    if slot is not None and slot.name != OWN:
        return build_schedule(slot, latent, registry, cell=cell)
    if latent == schedule.latent:
        return schedule
    return build_schedule(config.schedule, latent, registry, cell=cell, own=schedule)


def size_record(config: ModelConfig, size: Any) -> dict[str, Any]:
    """Return the height and width that are sampled, and those that the model was made for, for JSON."""
    own = grid(config.image_size)
    sampled = own if size is None else grid(size, "size")
    return {"size": list(sampled), "made_for": [list(own)]}


def report_size(config: ModelConfig, size: Any) -> None:
    """Warn, once for each pair of sizes, that a model was made for another size than it samples."""
    own = grid(config.image_size)
    if size is not None and grid(size, "size") != own:
        _report(own, grid(size, "size"))


@functools.cache
def _report(made_for: Grid, size: Grid) -> None:
    (own_h, own_w), (h, w) = made_for, size
    log.warning(
        "the model was made for images of %dx%d pixels (width x height) and samples %dx%d; the further a "
        "size is from its own, the worse the images",
        own_w,
        own_h,
        w,
        h,
    )
