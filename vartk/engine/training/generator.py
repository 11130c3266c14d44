"""The second stage of a generator: it learns to make images of a tokenizer's latents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from vartk_registry import VartkError
from vartk_registry.interfaces import ImageDataset, TrainableGenerator

from ...config import Config
from ...files import whole_folder
from ...images import enlarged, tile
from ..build import grid
from ..data import EndlessBatches, Images, View, loader, on_device
from ..distributed import ALONE, World
from ..generators.folder import write_generator
from ..generators.model import GeneratorModel
from .stage import VALIDATED_AT_ONCE

Batch = tuple[torch.Tensor, torch.Tensor]
"""Images [B, 3, H, W] in [-1, 1], and conditions [B, ...]."""

MEASURED = 256
"""Images that a generator sees before the first step."""


class GeneratorStage:
    """Trains a generator on images and their labels or captions; see `Stage`.

    Raises:
        VartkError: the generator has no loss.
    """

    name = "generator"
    shares: Mapping[str, float] = MappingProxyType({})
    parallel = "ddp"
    opponent = None
    judge = None

    def __init__(
        self,
        config: Config,
        model: GeneratorModel,
        datasets: Mapping[str, ImageDataset],
        device: torch.device,
    ) -> None:
        if not isinstance(model.generator, TrainableGenerator):
            raise VartkError(
                f"generator {config.generator.name!r} cannot be trained by vartk; it samples as it is"
            )
        self.config = config
        self.train = config.train.generator
        self.model = model
        self.module: nn.Module = model.generator  # type: ignore[assignment]
        size = grid(config.image_size)
        self._training = Images(datasets["train"], size, config.augment, self.train.seed)
        self._validation = Images(datasets["validation"], size)
        model.to(device)
        first = range(min(len(self._training), MEASURED))
        still = Images(datasets["train"], size)
        model.generator.prepare(torch.stack([still[i] for i in first]).to(device))

    def prepare(self, device: torch.device, *, compiled: bool) -> None:
        """See `Stage`; all is ready when it is made."""

    def batches(self, start: int, device: torch.device, world: World = ALONE) -> Iterator[Batch]:
        """Yield this process's share of each step's images and conditions, from `start` on."""
        data = _Labelled(self._training, self.model)
        views = EndlessBatches(
            len(self._training), self.train.batch, self.train.seed, start, self.train.steps, world
        )
        yield from on_device(loader(data, views, self.train.workers, device), device)

    def loss(self, module: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the mean loss."""
        images, conditions = batch
        if module.training and self.train.label_drop:
            dropped = torch.rand(len(images), device=images.device) < self.train.label_drop
            conditions = self.model.generator.drop(conditions, dropped)  # type: ignore[attr-defined]
        return module(images, conditions).mean(), {}

    @torch.no_grad()
    def validate(self, module: Any, device: torch.device) -> dict[str, float]:
        """Return the mean loss on held-out images, under the same noise each time."""
        data = _Labelled(self._validation, self.model)
        count = min(len(data), self.train.eval_images)
        generator, total = torch.Generator().manual_seed(0), 0.0
        for start in range(0, count, VALIDATED_AT_ONCE):
            pairs = [data[i] for i in range(start, min(start + VALIDATED_AT_ONCE, count))]
            images, conditions = (torch.stack(part).to(device) for part in zip(*pairs, strict=True))
            total += float(module(images, conditions, generator).sum())
        return {"loss": total / count} if count else {}

    @torch.no_grad()
    def preview(self, module: Any, device: torch.device) -> torch.Tensor:
        """Return a sample of each of the first classes, as a picture [3, H, W] in [0, 1]."""
        model = self.model
        shown = GeneratorModel(self.config, module, model.tokenizer, model.plugins)
        labels = list(range(min(8, len(shown.classes))))
        images = shown.sample(labels, seed=self.train.seed).images
        return tile(enlarged(images), columns=len(images))

    def export(self, weights: Mapping[str, torch.Tensor], folder: Path) -> None:
        """Write the model folder, tokenizer included."""
        tokenizer = self.model.tokenizer.state_dict()  # type: ignore[union-attr]
        with whole_folder(folder, replace=True) as aside:
            write_generator(aside, self.config, tokenizer, weights, _card(self.config))


class _Labelled(Dataset[Batch]):
    """Images with their conditions."""

    def __init__(self, images: Images, model: GeneratorModel) -> None:
        self.images = images
        self.model = model

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, view: int | View) -> Batch:
        view = view if isinstance(view, tuple) else (0, view)
        example = self.images.dataset[view[1]]
        (condition,) = self.model.parse([getattr(example, self.model.takes)])
        return self.images.prepared(example, view), condition


def _card(config: Config) -> str:
    return (
        "# A vartk generator\n\n"
        f"A `{config.generator.name}`, trained by vartk on the dataset `{config.dataset.name}` for "
        f"{config.train.generator.steps} steps.\n\n    vartk sample FOLDER --class 0,1 --out DIR\n"
    )
