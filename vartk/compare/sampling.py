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
        cache_bytes: the most that was held of keys and values after a scale was drawn.
    """

    images: torch.Tensor
    codes: list[torch.Tensor]
    seconds: tuple[float, float]
    cache_bytes: int

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return everything by name, for a file."""
        return {
            "images": self.images,
            **{f"codes.{step}": codes for step, codes in enumerate(self.codes)},
            "seconds": torch.tensor(self.seconds, dtype=torch.float64),
            "cache_bytes": torch.tensor(self.cache_bytes),
        }

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> Batch:
        """Read what `tensors` wrote."""
        steps = sum(name.startswith("codes.") for name in tensors)
        transformer, decoder = tensors["seconds"].tolist()
        codes = [tensors[f"codes.{step}"] for step in range(steps)]
        return cls(tensors["images"], codes, (transformer, decoder), int(tensors["cache_bytes"]))


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
    finish(device)
    start = time.perf_counter()
    for state in model.stream(labels, seed=seeds, refiner=refiner, draft=draft):
        codes.append(state.codes)
        held = max(held, state.cache_bytes)
    finish(device)
    middle = time.perf_counter()
    images = state.images
    finish(device)
    seconds = middle - start, time.perf_counter() - middle
    return Batch(to_uint8(images).cpu(), by_scale(codes, state.schedule), seconds, held)


def sample_once(
    labels: Sequence[Any],
    seeds: Sequence[int],
    models: Sequence[tuple[Callable[[], Model], SamplingConfig]],
    draft: int | None,
) -> None:
    """Open a model, and a refiner if there is one, and sample a batch: the memory of this is measured."""
    model, *refiners = [configured(open_model(), sampling) for open_model, sampling in models]
    sample_timed(model, labels, seeds, next(iter(refiners), None), draft)
