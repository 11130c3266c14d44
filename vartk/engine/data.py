"""Training data: images made ready, in an order that the seed and the step decide."""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from vartk_registry import VartkError
from vartk_registry.interfaces import Example, Grid, ImageDataset

from ..config import AugmentConfig
from .distributed import ALONE, World

View = tuple[int, int]
"""(pass over the data, index): it names one augmented view of an image."""


class Images(Dataset[torch.Tensor]):
    """The images of a dataset as tensors [3, H, W] in [-1, 1], by index or by view.

    Args:
        size: (height, width) in pixels.
        augment: how views are varied; None resizes and crops at the centre.
        seed: a view is decided by the seed and its name, whoever loads it.
    """

    def __init__(
        self, dataset: ImageDataset, size: Grid, augment: AugmentConfig | None = None, seed: int = 0
    ) -> None:
        self.dataset = dataset
        self.size = size
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, view: int | View) -> torch.Tensor:
        view = view if isinstance(view, tuple) else (0, view)
        return self.prepared(self.dataset[view[1]], view)

    def prepared(self, example: Example, view: View) -> torch.Tensor:
        """Return one view of an example that was read already."""
        turn, index = view
        size = self.size_of(index)
        if self.augment is None:
            return to_tensor(fit(example.image, size))
        draw = random.Random(f"{self.seed} {turn} {index}")
        return to_tensor(augmented(example.image, size, self.augment, draw))

    def size_of(self, index: int) -> Grid:
        """Return the (height, width) that an image gets."""
        return self.size


def augmented(image: Image.Image, size: Grid, augment: AugmentConfig, draw: random.Random) -> Image.Image:
    """Return a random crop of `size` (h, w) from the image resized as `augment` says."""
    h, w = size
    resized = _cover(image, (round(h * augment.scale), round(w * augment.scale)))
    left, top = draw.randint(0, resized.width - w), draw.randint(0, resized.height - h)
    cropped = resized.crop((left, top, left + w, top + h))
    if augment.flip and draw.random() < 0.5:
        return cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return cropped


def fit(image: Image.Image, size: Grid) -> Image.Image:
    """Return the image resized to cover `size` (h, w) and cropped at its centre."""
    h, w = size
    resized = _cover(image, size)
    left, top = (resized.width - w) // 2, (resized.height - h) // 2
    return resized.crop((left, top, left + w, top + h))


def _cover(image: Image.Image, size: Grid) -> Image.Image:
    """Resize (Lanczos) so that the image just covers `size`, its aspect kept."""
    h, w = size
    ratio = max(h / image.height, w / image.width)
    cover = max(w, round(image.width * ratio)), max(h, round(image.height * ratio))
    return image if cover == image.size else image.resize(cover, Image.Resampling.LANCZOS)


def to_tensor(image: Image.Image) -> torch.Tensor:
    """Return an RGB image as [3, H, W] in [-1, 1]."""
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    pixels = pixels.view(image.height, image.width, 3).permute(2, 0, 1)
    return pixels.float() / 127.5 - 1


class EndlessBatches:
    """The views of each training step: passes over the data, each in an order of its own.

    A step's batch depends on nothing but the seed and the step, so a resumed run goes on exactly.
    Each process takes an equal share of it.
    """

    def __init__(
        self, length: int, batch: int, seed: int, start: int, stop: int, world: World = ALONE
    ) -> None:
        if not length:
            raise VartkError("the dataset is empty")
        self.length, self.batch, self.seed, self.start, self.stop = length, batch, seed, start, stop
        self.world = world

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[View]]:
        passes = Passes(self.length, str(self.seed))
        share = self.batch // self.world.size
        for step in range(self.start, self.stop):
            first = step * self.batch + self.world.rank * share
            yield passes.views(range(first, first + share))


class Passes:
    """Passes over data, one after another, each in an order of its own that a text decides."""

    def __init__(self, length: int, seed: str) -> None:
        self.length, self.seed = length, seed
        self._orders: dict[int, list[int]] = {}

    def views(self, places: range) -> list[View]:
        """Return what stands at some places of the passes."""
        turns = {place // self.length for place in places}
        self._orders = {turn: self._orders.get(turn) or self.order(turn) for turn in turns}
        return [
            (place // self.length, self._orders[place // self.length][place % self.length])
            for place in places
        ]

    def order(self, turn: int) -> list[int]:
        """Return the order of a pass."""
        order = list(range(self.length))
        random.Random(f"{self.seed} {turn}").shuffle(order)
        return order


def loader(dataset: Any, batches: Any, workers: int, device: torch.device) -> DataLoader[Any]:
    """Return a DataLoader over the batches of views."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # the default one would make a resumed run draw differently
        worker_init_fn=_apart,
    )


def on_device(
    batches: Iterable[Sequence[torch.Tensor]], device: torch.device
) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield batches of several tensors on a device; a GPU gets each while it computes on the one before.

    Args:
        batches: for a GPU in pinned memory, as `loader` makes them.
    """
    if device.type != "cuda":
        for batch in batches:
            yield tuple(tensor.to(device) for tensor in batch)
        return
    copies = torch.cuda.Stream(device)
    ahead: deque[tuple[tuple[torch.Tensor, ...], torch.cuda.Event]] = deque()
    for batch in batches:
        with torch.cuda.stream(copies):
            copied = tuple(tensor.to(device, non_blocking=True) for tensor in batch)
            ahead.append((copied, copies.record_event()))
        if len(ahead) > 1:
            yield _arrived(*ahead.popleft())
    while ahead:
        yield _arrived(*ahead.popleft())


def _arrived(batch: tuple[torch.Tensor, ...], copied: torch.cuda.Event) -> tuple[torch.Tensor, ...]:
    """Let the device wait for a batch, and keep its memory until the work that follows is done."""
    stream = torch.cuda.current_stream(batch[0].device)
    stream.wait_event(copied)
    for tensor in batch:
        tensor.record_stream(stream)
    return batch


def _apart(worker: int) -> None:
    """Keep signals to the process group from a worker: the training process decides when to stop."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()
