"""Checks of datasets and metrics."""

from __future__ import annotations

import copy

import torch

from ..interfaces import Example, Grid, ImageDataset, Metric
from .rules import require


def check_dataset(dataset: ImageDataset) -> None:
    """Check the first and the last example of a dataset."""
    for what, lines in (("classes", dataset.classes), ("skipped", dataset.skipped)):
        require(
            isinstance(lines, list) and all(isinstance(line, str) for line in lines),
            f"{what} must be a list of str",
        )
    require(len(dataset) > 0, "a dataset must hold at least one example")
    for index in (0, len(dataset) - 1):
        example, again = dataset[index], dataset[index]
        require(isinstance(example, Example), f"an item must be an Example, not {example!r}")
        image = example.image
        require(image.mode == "RGB", f"images must be RGB, not {image.mode}")
        require(min(image.size) > 0, "images must not be empty")
        require(
            isinstance(example.label, int) and 0 <= example.label < max(1, len(dataset.classes)),
            f"label {example.label!r} must be the index of one of {len(dataset.classes)} classes",
        )
        require(isinstance(example.caption, str), "a caption must be a str")
        require(
            (again.image.tobytes(), again.label, again.caption)
            == (image.tobytes(), example.label, example.caption),
            "the same index must always give the same example; a dataset does not augment",
        )


def check_metric(metric: Metric, image_size: Grid = (32, 32)) -> None:
    """Check a metric that is still empty on random images or vectors, whole and in two parts."""
    kinds = ("images", "features", "logits", "spatial")
    require(metric.takes in kinds, f"takes={metric.takes!r} must be one of {', '.join(kinds)}")
    shape = (3, *image_size) if metric.takes == "images" else (4,)
    images, reference = torch.rand(2, 6, *shape, generator=torch.Generator().manual_seed(0))
    parts = copy.deepcopy(metric)
    metric.update(images, reference)
    numbers = metric.compute()
    require(
        isinstance(numbers, dict)
        and bool(numbers)
        and all(isinstance(name, str) and isinstance(n, float) for name, n in numbers.items()),
        f"compute must return floats by name, not {numbers!r}",
    )
    for chosen in (slice(0, 2), slice(2, 6)):
        parts.update(images[chosen], reference[chosen])
    for name, number in parts.compute().items():
        close = abs(number - numbers[name]) <= 1e-3 * max(1.0, abs(numbers[name]))
        require(
            close,  # false for nan too
            f"{name} must not depend on how the images are batched: {numbers[name]} and {number}",
        )
