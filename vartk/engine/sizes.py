"""Other image sizes than a model's own: the schedule that they need, and what the model was trained for."""

from __future__ import annotations

import functools
import logging
from typing import Any

from vartk_registry import Registry
from vartk_registry.interfaces import Grid, Schedule, Tokenizer

from ..config import OWN, ModelConfig, Slot
from .build import build_schedule, cell_of, grid, trained_sizes

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


def bucket_schedules(
    config: ModelConfig, tokenizer: Tokenizer, schedule: Schedule, registry: Registry
) -> list[Schedule]:
    """Return the schedule of each bucket of training, the model's own first; errors as `schedule_for`."""
    sizes = trained_sizes(config)
    return [schedule_for(config, tokenizer, schedule, registry, None, size) for size in sizes]


def size_record(config: ModelConfig, size: Any) -> dict[str, Any]:
    """Return the height and width that are sampled, and those that the model was made for, for JSON."""
    sizes = trained_sizes(config)
    sampled = sizes[0] if size is None else grid(size, "size")
    return {"size": list(sampled), "made_for": [list(made_for) for made_for in sizes]}


def report_other(config: ModelConfig, size: Any, schedule: Schedule, own: Schedule) -> None:
    """Warn, once for each size or schedule, that a model was made for others than it samples.

    Args:
        schedule, own: with which it samples the size, and which it has for it.
    """
    sizes = trained_sizes(config)
    if size is not None and grid(size, "size") not in sizes:
        _report_size(tuple(sizes), grid(size, "size"))
    elif schedule.grids != own.grids:
        _report_scales(own, schedule)


@functools.cache
def _report_size(made_for: tuple[Grid, ...], size: Grid) -> None:
    *own, sampled = (f"{w}x{h}" for h, w in (*made_for, size))
    log.warning(
        "the model was made for images of %s pixels (width x height) and samples %s; the further a size is "
        "from its own, the worse the images",
        ", ".join(own),
        sampled,
    )


@functools.cache
def _report_scales(own: Schedule, schedule: Schedule) -> None:
    log.warning("the model was made for the scales %s and samples with the scales %s", own, schedule)
