"""The first stage: a tokenizer learns to reconstruct images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from vartk_registry import Registry, VartkError
from vartk_registry.interfaces import FittedTokenizer, ImageDataset, Schedule, TokenizerOutput

from ...config import Config, model_part
from ...files import whole_folder
from ...images import enlarged, tile
from ..buckets import BucketBatches, BucketedImages, grouped
from ..build import trained_sizes
from ..data import loader, on_device
from ..distributed import ALONE, World
from ..folder import write_model
from ..model import Model
from ..sizes import bucket_schedules
from .adversary import build_adversary
from .quality import ReconstructionQuality, build_perceptual, perceptual_distance
from .stage import VALIDATED_AT_ONCE


class TokenizerStage:
    """Trains the tokenizer of a model; see `Stage`.

    Args:
        layout: how the images, the features and the convolutions' weights lie in memory; None chooses by the
            device. What is saved does not depend on it.
    """

    name = "tokenizer"
    shares: Mapping[str, float] = MappingProxyType({})
    judge = None
    parallel = "ddp"  # it is small, and quantizers may write to their codebooks in a forward pass

    def __init__(
        self,
        config: Config,
        model: Model,
        datasets: Mapping[str, ImageDataset],
        registry: Registry,
        layout: torch.memory_format | None = None,
    ) -> None:
        self.config = config
        self.train = config.train.tokenizer
        self.module: nn.Module = model.tokenizer  # type: ignore[assignment]
        self.space = model.tokenizer.space
        self.registry = registry
        self.perceptual = build_perceptual(self.train.perceptual, registry)
        sizes = trained_sizes(config)
        schedules = bucket_schedules(config, model.tokenizer, model.schedule, registry)
        self._schedules = {size: made.scales for size, made in zip(sizes, schedules, strict=True)}
        self.opponent = build_adversary(self.train, min(sizes, key=min), registry)
        self.layout = layout
        self._pixel_losses = _pixel_losses
        self._training = BucketedImages(datasets["train"], sizes, config.augment, self.train.seed)
        self._validation = BucketedImages(datasets["validation"], sizes)

    def prepare(self, device: torch.device, *, compiled: bool) -> None:
        """See `Stage`."""
        layout = self.layout_on(device)
        self.module.to(memory_format=layout)
        if self.opponent is not None:
            self.opponent.module.to(memory_format=layout)
        if compiled:
            self._pixel_losses = torch.compile(_pixel_losses)

    def start_codebook(self, device: torch.device) -> None:
        """Start the codebook by k-means on the first training images, if the configuration asks for it.

        All processes see the same images, so all start with the same codebook.

        Raises:
            VartkError: the tokenizer has no codebook to start.
        """
        count = min(self.train.kmeans_images, len(self._training))
        if not count:
            return
        if not isinstance(self.module, FittedTokenizer):
            raise VartkError(
                f"tokenizer {self.config.tokenizer.name!r} has no codebook that could start by k-means; set "
                "train.tokenizer.kmeans_images=0"
            )
        group = max(grouped(self._training.buckets, len(self._schedules)), key=len)  # images of one size
        steps = BucketBatches([group], self.train.batch, self.train.seed, 0, self.train.steps)
        views = list(islice(chain.from_iterable(steps), count))
        parts = (
            views[first : first + VALIDATED_AT_ONCE] for first in range(0, len(views), VALIDATED_AT_ONCE)
        )
        images = (torch.stack([self._training[view] for view in part]).to(device) for part in parts)
        self.module.to(device).fit(images, self._schedules[self._training.size_of(group[0])])

    def batches(self, start: int, device: torch.device, world: World = ALONE) -> Iterator[torch.Tensor]:
        """Yield this process's share of each step's images, from `start` on: [B, 3, H, W]."""
        groups = grouped(self._training.buckets, len(self._schedules))
        views = BucketBatches(groups, self.train.batch, self.train.seed, start, self.train.steps, world)
        self._look_on(device)
        batches = ([images] for images in loader(self._training, views, self.train.workers, device))
        for (images,) in on_device(batches, device):
            yield images.contiguous(memory_format=self.layout_on(device))

    def loss(self, module: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the weighted loss, and its parts."""
        output: TokenizerOutput = module(images, self._schedule_of(images))
        made = output.images.float()
        l1, l2 = self._pixel_losses(made, images)
        parts = {"l1": l1, "l2": l2, **output.losses}
        total = self.train.l1 * parts["l1"] + self.train.l2 * parts["l2"]
        total = total + self.train.vq * sum(output.losses.values())
        if self.perceptual is not None:
            seen = made if self.train.perceptual_weight else made.detach()  # only reported: no gradient
            parts["perceptual"] = perceptual_distance(self.perceptual, seen, images).mean()
            total = total + self.train.perceptual_weight * parts["perceptual"]
        if self.opponent is not None:
            # the quantizer's losses have no gradient at the images made, and so no say in the weight
            adversarial, numbers = self.opponent.term(images, made, total)
            total, parts = total + adversarial, parts | numbers
        return total, {name: value.detach() for name, value in parts.items()}

    @torch.no_grad()
    def validate(self, module: Any, device: torch.device) -> dict[str, float]:
        """Return the quality of held-out reconstructions, and the use of the codes by scale."""
        self._look_on(device)
        steps = max(map(len, self._schedules.values()))
        smallest = min(self._schedules, key=min)
        quality = ReconstructionQuality(self.registry, self.space, steps, smallest, self.perceptual)
        count = min(len(self._validation), self.train.eval_images)
        for rows in self._validation.batches(count, VALIDATED_AT_ONCE):
            images = torch.stack([self._validation[i] for i in rows]).to(device)
            quality.update(module(images, self._schedule_of(images)), images)
        return quality.compute() if count else {}

    @torch.no_grad()
    def preview(self, module: Any, device: torch.device) -> torch.Tensor:
        """Return held-out images above their reconstructions, as a picture [3, H, W] in [0, 1]."""
        shown = self._validation if len(self._validation) else self._training
        first, *_ = shown.batches(len(shown), 8)
        images = torch.stack([shown[i] for i in first]).to(device)
        made = module(images, self._schedule_of(images)).images.float().clamp(-1, 1)
        return tile(enlarged((torch.cat((images, made)) + 1) / 2), columns=len(images))

    def export(self, weights: Mapping[str, torch.Tensor], folder: Path) -> None:
        """Write the model folder of a tokenizer alone."""
        with whole_folder(folder, replace=True) as aside:
            write_model(aside, model_part(self.config), weights, None, _card(self.config))

    def layout_on(self, device: torch.device) -> torch.memory_format:
        """Return how images should lie in a device's memory."""
        if self.layout is not None:
            return self.layout
        # on a CPU the backward pass of group normalisation takes twice as long in channels_last
        return torch.channels_last if device.type == "cuda" else torch.contiguous_format

    def _schedule_of(self, images: torch.Tensor) -> Schedule:
        """Return the scales of a batch, which are those of its bucket."""
        h, w = images.shape[-2:]
        return self._schedules[h, w]

    def _look_on(self, device: torch.device) -> None:
        """Move the feature, if there is one, to the images' device."""
        if self.perceptual is not None:
            self.perceptual.to(device)  # type: ignore[attr-defined]


def _pixel_losses(made: torch.Tensor, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean absolute and the mean squared error."""
    return F.l1_loss(made, images), F.mse_loss(made, images)


def _card(config: Config) -> str:
    return (
        "# A vartk tokenizer\n\n"
        f"Trained by vartk on the dataset `{config.dataset.name}` for {config.train.tokenizer.steps} "
        "steps. `vartk reconstruct` and `vartk train transformer --tokenizer` take this folder.\n"
    )
