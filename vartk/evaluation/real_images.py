"""The real images that a model's samples are compared with, and the conditions they are sampled under."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import torch

from vartk_registry import Registry, VartkError, counted
from vartk_registry.interfaces import Feature, ImageDataset

from ..engine.data import Images
from ..engine.generators.model import GeneratorModel
from ..engine.model import Model
from ..engine.sets import Seen, set_distances
from ..tasks.sample import Bar


def require_images(datasets: Mapping[str, ImageDataset]) -> None:
    """Raise `VartkError` where a split has too few images to be compared with."""
    for split, dataset in datasets.items():
        if len(dataset) < 4:
            raise VartkError(
                f"the dataset has {counted(len(dataset), 'image')} in its {split} split; an evaluation "
                "needs at least 4 there (dataset.validation=0.1 holds a tenth of a folder's out)"
            )


def in_batches(indices: Sequence[int], size: int, bar: Bar) -> Iterator[Sequence[int]]:
    """Yield indices in batches, each of which counts on the bar when the next is asked for."""
    for start in range(0, len(indices), size):
        yield indices[start : start + size]
        bar.update(min(start + size, len(indices)))


def see_training(
    model: Model | GeneratorModel,
    images: Images,
    batches: Iterable[Sequence[int]],
    feature: Feature,
    kinds: Collection[str],
) -> tuple[Seen, list[int | str]]:
    """Return what a feature on the model's device sees of images, and the label or caption of each."""
    seen, conditions = [], []
    for batch in batches:
        examples = [images.dataset[i] for i in batch]
        conditions += [getattr(example, model.takes) for example in examples]
        views = zip(examples, batch, strict=True)
        pixels = torch.stack([images.prepared(example, (0, i)) for example, i in views])
        seen.append(Seen.of(feature, (pixels.to(model.device) + 1) / 2, kinds))
    return Seen.joined(seen), conditions


def sample_distances(
    registry: Registry,
    metrics: Sequence[str],
    samples: Seen,
    training: Seen,
    others: Mapping[str, Seen],
) -> dict[str, dict[str, dict[str, float]]]:
    """Return the distances of "samples", and of "real images" in their place, from "training" and other sets.

    FD depends on the counts. So as many training images as there are samples, at most half of them, play the
    samples' part, and the rest are the reference of both.
    """
    compared = min(len(samples), len(training) // 2)
    references = {**others, "training": training[compared:]}
    return {
        name: {of: set_distances(registry, metrics, found, reference) for of, reference in references.items()}
        for name, found in {"samples": samples[:compared], "real images": training[:compared]}.items()
    }


def drawn(dataset: ImageDataset, count: int, seed: int) -> list[int]:
    """Return the indices of images of a dataset in random order: `count` of them, or all."""
    return random.Random(seed).sample(range(len(dataset)), min(len(dataset), count))


def drawn_conditions(conditions: Sequence[int | str], count: int, seed: int) -> list[int | str]:
    """Return `count` conditions in random order, each as often as its share of those given."""
    chosen = in_proportion(conditions, count)
    random.Random(seed).shuffle(chosen)
    return chosen


def in_proportion(values: Sequence[int | str], count: int) -> list[int | str]:
    """Return `count` of the values, each as often as its share of them, sorted."""
    ordered = sorted(values)  # type: ignore[type-var]
    return [ordered[(2 * i + 1) * len(ordered) // (2 * count)] for i in range(count)]
