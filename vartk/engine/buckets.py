"""Buckets of training images: each image gets the size nearest to its ratio, and each batch has one size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from vartk_registry import VartkError
from vartk_registry.interfaces import Grid, ImageDataset, SizedDataset

from ..config import AugmentConfig
from .data import Images, Passes, View
from .distributed import ALONE, World


def nearest_bucket(sizes: Sequence[Grid], shape: Grid) -> int:
    """Return which size has the ratio nearest to an image's; of several, the one of the nearest area.

    Args:
        sizes, shape: (height, width) in pixels.
    """
    h, w = shape

    def distance(bucket: int) -> tuple[float, float]:
        tall, wide = sizes[bucket][0] / h, sizes[bucket][1] / w
        return round(abs(math.log(tall / wide)), 6), abs(math.log(tall * wide))

    return min(range(len(sizes)), key=distance)


def buckets_of(dataset: ImageDataset, sizes: Sequence[Grid]) -> list[int]:
    """Return the bucket of each image.

    A `SizedDataset` tells the sizes of its images; of another dataset, each image is read once.
    """
    if len(sizes) == 1:
        return [0] * len(dataset)
    if isinstance(dataset, SizedDataset):
        return [nearest_bucket(sizes, dataset.shape(index)) for index in range(len(dataset))]
    images = (dataset[index].image for index in range(len(dataset)))
    return [nearest_bucket(sizes, (image.height, image.width)) for image in images]


def grouped(buckets: Sequence[int], count: int) -> list[list[int]]:
    """Return the places of each of `count` buckets in a list of buckets."""
    groups: list[list[int]] = [[] for _ in range(count)]
    for place, bucket in enumerate(buckets):
        groups[bucket].append(place)
    return groups


class BucketedImages(Images):
    """The images of a dataset, each resized and cropped to the size of its bucket.

    Args:
        sizes: of the buckets, (height, width) in pixels; the first one is `size`.
        dataset, augment, seed: see `Images`.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        sizes: Sequence[Grid],
        augment: AugmentConfig | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(dataset, sizes[0], augment, seed)
        self.sizes = list(sizes)
        self.buckets = buckets_of(dataset, sizes)

    def size_of(self, index: int) -> Grid:
        """Return the (height, width) of an image's bucket."""
        return self.sizes[self.buckets[index]]

    def batches(self, count: int, most: int) -> Iterator[list[int]]:
        """Yield the first `count` images in batches of one bucket and at most `most` images."""
        for group in grouped(self.buckets[:count], len(self.sizes)):
            yield from (group[start : start + most] for start in range(0, len(group), most))


class BucketBatches:
    """The views of each training step, all of one bucket; each process takes an equal share of them.

    Buckets take turns in cycles. A cycle is the fewest passes over the data in which the images of each
    bucket fill whole batches, so that every image is seen equally often; the order of its batches is drawn.
    Within a bucket, batches follow passes over its images. So a step's batch depends on nothing but the seed
    and the step. A single bucket gives the batches of `EndlessBatches`.

    Args:
        groups: the indices of each bucket's images.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[int]],
        batch: int,
        seed: int,
        start: int,
        stop: int,
        world: World = ALONE,
    ) -> None:
        counts = [len(group) for group in groups]
        if not sum(counts):
            raise VartkError("the dataset is empty")
        self.groups, self.batch, self.seed, self.start, self.stop = groups, batch, seed, start, stop
        self.world = world
        self._turns = [count // math.gcd(batch, *counts) for count in counts]

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[View]]:
        seeds = [str(self.seed), *(f"{self.seed} bucket {b}" for b in range(1, len(self.groups)))]
        passes = [Passes(len(group), seed) for group, seed in zip(self.groups, seeds, strict=True)]
        share = self.batch // self.world.size
        for bucket, number in self._steps():
            first = number * self.batch + self.world.rank * share
            group = self.groups[bucket]
            yield [(turn, group[i]) for turn, i in passes[bucket].views(range(first, first + share))]

    def buckets(self) -> Iterator[int]:
        """Yield the bucket of each step."""
        return (bucket for bucket, _ in self._steps())

    def _steps(self) -> Iterator[tuple[int, int]]:
        """Yield the bucket of each step, and the number of its batch among those of the bucket."""
        length = sum(self._turns)
        for cycle in range(self.start // length, -(-self.stop // length)):
            order = Passes(length, f"{self.seed} cycle").order(cycle)
            numbers = [cycle * turns for turns in self._turns]
            ends = [sum(self._turns[: bucket + 1]) for bucket in range(len(self._turns))]
            for step, place in enumerate(order, cycle * length):
                bucket = next(b for b, end in enumerate(ends) if place < end)
                if self.start <= step < self.stop:
                    yield bucket, numbers[bucket]
                numbers[bucket] += 1
