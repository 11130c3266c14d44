"""One batch of images, sampled and timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..bench.timing import finish
from ..config import SamplingConfig
from ..engine.codes import by_scale
from ..engine.model import Model
from ..images import to_uint8


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that were sampled at once.

    Attributes:
        images: uint8 [B, 3, H, W].
        codes: of each scale that was generated, [B, n, *shape].
        seconds: of the transformer (with guidance, draws and accumulation), and of the decoder.
        processor_seconds: that this process computed in them, summed over its threads.
        cache_bytes: the most that was held of keys and values after a scale was drawn.
    """

    images: torch.Tensor
    codes: list[torch.Tensor]
    seconds: tuple[float, float]
    processor_seconds: tuple[float, float]
    cache_bytes: int

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return everything by name, for a file."""
        return {
            "images": self.images,
            **{f"codes.{step}": codes for step, codes in enumerate(self.codes)},
            "seconds": torch.tensor(self.seconds, dtype=torch.float64),
            "processor_seconds": torch.tensor(self.processor_seconds, dtype=torch.float64),
            "cache_bytes": torch.tensor(self.cache_bytes),
        }

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> Batch:
        """Read what `tensors` wrote."""
        steps = sum(name.startswith("codes.") for name in tensors)
        codes = [tensors[f"codes.{step}"] for step in range(steps)]
        times = (tuple(tensors[name].tolist()) for name in ("seconds", "processor_seconds"))
        return cls(tensors["images"], codes, *times, cache_bytes=int(tensors["cache_bytes"]))


def configured(model: Model, sampling: SamplingConfig) -> Model:
    """Return another model on the same modules, whose defaults are these settings."""
    config = replace(model.config, sampling=sampling)
    return Model(config, model.tokenizer, model.schedule, model.predictor, model.plugins)


def sample_timed(
    model: Model,
    labels: Sequence[Any],
    seeds: Sequence[int],
    refiner: Model | None = None,
    draft: int | None = None,
) -> Batch:
    """Sample a batch by the models' defaults, and take the time of both stages."""
    device, codes, held = model.device, [], 0
    start = _clocks(device)
    for state in model.stream(labels, seed=seeds, refiner=refiner, draft=draft):
        codes.append(state.codes)
        held = max(held, state.cache_bytes)
    middle = _clocks(device)
    images = state.images
    end = _clocks(device)
    seconds, worked = ((m - s, e - m) for s, m, e in zip(start, middle, end, strict=True))
    return Batch(to_uint8(images).cpu(), by_scale(codes, state.schedule), seconds, worked, held)


def _clocks(device: torch.device) -> tuple[float, float]:
    """Return the time, and the processor's time of this process, when the device has finished."""
    finish(device)
    return time.perf_counter(), time.process_time()


def sample_once(
    labels: Sequence[Any],
    seeds: Sequence[int],
    models: Sequence[tuple[Callable[[], Model], SamplingConfig]],
    draft: int | None,
) -> None:
    """Open a model, and a refiner if there is one, and sample a batch: the memory of this is measured."""
    model, *refiners = [configured(open_model(), sampling) for open_model, sampling in models]
    sample_timed(model, labels, seeds, next(iter(refiners), None), draft)
