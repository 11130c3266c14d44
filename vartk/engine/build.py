"""Builds modules from configurations; past this file there are only plain arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from vartk_registry import Registry, VartkError
from vartk_registry.interfaces import Attend, Grid, LimitedSchedules, Schedule, Tokenizer, Transformer

from ..config import ModelConfig, Slot
from .joint import build_conditioner


def grid(image_size: Any, key: str = "image_size") -> Grid:
    """Return (height, width) for an image size of the configuration's `key`: a side, or a pair."""
    match image_size:
        case int(side) if side > 0 and not isinstance(side, bool):
            return side, side
        case [int(h), int(w)] if h > 0 and w > 0:
            return h, w
    raise VartkError(f"{key}={image_size!r} must be a side in pixels, or [height, width]")


def trained_sizes(config: ModelConfig) -> list[Grid]:
    """Return the (height, width) of all buckets of a model's training, that of `image_size` first."""
    sizes = [grid(config.image_size)]
    sizes += [grid(size, f"buckets[{index}]") for index, size in enumerate(config.buckets)]
    return list(dict.fromkeys(sizes))


def cell_of(size: Grid, latent: Grid) -> Grid:
    """Return the height and width in pixels of a cell of the latent grid of an image size."""
    return size[0] // latent[0], size[1] // latent[1]


def build_schedule(
    slot: Slot, latent: Grid, registry: Registry, *, cell: Grid | None = None, own: Schedule | None = None
) -> Schedule:
    """Build a schedule for a latent grid.

    Args:
        cell: height and width of a cell of the latent in pixels, for the message of an error.
        own: a schedule of another latent grid, which is resized where the component gives a fixed list.

    Raises:
        VartkError: it does not end at the latent grid.
    """
    factory = registry.build("schedule", slot.name, slot.params)
    schedule: Schedule = factory(latent)
    if schedule.latent != latent:
        if isinstance(factory, LimitedSchedules):
            raise VartkError(_limited(slot.name, factory.latents(), latent, cell))
        if own is not None:
            return own.resized(latent)
        (h, w), (latent_h, latent_w) = schedule.latent, latent
        raise VartkError(
            f"schedule {slot.name!r} ends at {h}x{w}, but the tokenizer's latent grid at this image size is "
            f"{latent_h}x{latent_w}; choose schedule=geometric, which fits any latent, a custom one that "
            f"ends at {latent_h}x{latent_w}, or another image_size; the scales of {slot.name!r} resized are "
            f"schedule=custom schedule.grids={_written(schedule.resized(latent))}"
        )
    return schedule


def _written(schedule: Schedule) -> str:
    """Return the grids of a schedule as one types them."""
    return "[" + ",".join(str(h) if h == w else f"[{h},{w}]" for h, w in schedule.grids) + "]"


def _limited(name: str, latents: Sequence[Grid], latent: Grid, cell: Grid | None) -> str:
    """Return that a schedule has no scales for a latent grid, and for which near ones it has."""
    h, w = latent

    def distance(other: Grid) -> float:
        tall, wide = other[0] / h, other[1] / w
        return abs(math.log(tall * wide)) + 2 * abs(math.log(tall / wide))

    cell_h, cell_w = cell or (1, 1)
    near = [f"[{cell_h * a},{cell_w * b}]" for a, b in sorted(set(latents), key=distance)[:3]]
    what = "a latent grid" if cell is None else "an image size"
    return (
        f"schedule {name!r} has no scales for {what} of [{cell_h * h},{cell_w * w}]; the nearest "
        f"that it has, [height,width], are {', '.join(near)}"
    )


def schedule_slot(schedule: Schedule | Sequence[Any]) -> dict[str, Any]:
    """Return the slot of a schedule, or of a list of grids, as a configuration holds it."""
    if not isinstance(schedule, Schedule):
        return {"name": "custom", "grids": [list(g) if isinstance(g, tuple) else g for g in schedule]}
    grids = [list(grid) for grid in schedule.grids]
    if schedule.raster:
        return {"name": "raster", "grids": grids}
    return {"name": "custom", "grids": grids, "reference": schedule.reference and list(schedule.reference)}


def build_tokenizer(config: ModelConfig, registry: Registry) -> Tokenizer:
    """Build the tokenizer with its quantizer, weights not loaded."""

    def quantizer(dim: int) -> Any:
        return registry.build("quantizer", config.quantizer.name, config.quantizer.params, dim=dim)

    slot = config.tokenizer
    return registry.build("tokenizer", slot.name, slot.params, quantizer=quantizer)


def build_transformer(
    config: ModelConfig, tokenizer: Tokenizer, schedule: Schedule, registry: Registry
) -> Transformer:
    """Build the transformer for a tokenizer's codes, weights not loaded."""
    slot = config.transformer
    space, channels = tokenizer.space, tokenizer.channels
    return registry.build(
        "transformer", slot.name, slot.params, schedule=schedule, space=space, channels=channels
    )


class Predictor(nn.Module):
    """The second stage's modules: a transformer, and the conditioner whose conditions it takes."""

    def __init__(self, transformer: Transformer, conditioner: Any) -> None:
        super().__init__()
        self.transformer = transformer
        self.conditioner = conditioner

    def forward(
        self, inputs: torch.Tensor, conditions: torch.Tensor, schedule: Schedule, attend: Attend
    ) -> torch.Tensor:
        """Return the teacher-forced logits [B, L, *shape, classes] under a batch of conditions."""
        return self.transformer(inputs, self.conditioner(conditions), schedule, attend)


def build_predictor(
    config: ModelConfig, tokenizer: Tokenizer, schedule: Schedule, registry: Registry
) -> Predictor:
    """Build the transformer and the conditioner, weights not loaded."""
    transformer = build_transformer(config, tokenizer, schedule, registry)
    conditioner = build_conditioner(
        config.conditioner, registry, width=transformer.width, classes=config.classes
    )
    return Predictor(transformer, conditioner)
