"""Evaluates a model: its reconstructions, its samples, and what it has memorised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from vartk_registry.interfaces import Feature, ImageDataset

from .. import __version__
from ..config import SamplingConfig, plain
from ..engine.build import grid
from ..engine.classes import require_classes
from ..engine.data import Images
from ..engine.model import Model
from ..engine.sets import FEATURES, PIXELS, Seen, set_distances, vector_kinds
from ..engine.training.quality import ReconstructionQuality
from ..images import enlarged, labelled_grid
from ..tasks.sample import Bar
from .looking import Look
from .neighbours import Neighbours, near_copies
from .pictures import Archive
from .real_images import (
    drawn,
    drawn_conditions,
    in_batches,
    require_images,
    sample_distances,
    see_training,
)
from .samples import sampled
from .scales import Partial

SHOWN = 24
"""Samples shown beside their nearest training images."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a model is evaluated.

    Args:
        count: samples.
        references: training images that are looked at, at most, drawn at random.
        seed: of the first sample, the others counting up from it, and of the draws of images.
        sampling: of the samples; its batch is that of all that is looked at.
        metrics: names of metrics of sets of features.
        weights: the fingerprints of the model's.
        samples: the folder where samples are kept; None for a temporary one.
    """

    count: int
    references: int
    seed: int
    sampling: SamplingConfig
    metrics: Sequence[str]
    weights: Mapping[str, str]
    samples: Path | None = None


class Evaluation:
    """One evaluation of a model on a dataset, with a feature on the model's device.

    `datasets` are the splits "train" and "validation"; a tokenizer alone needs the second.

    Raises:
        VartkError: the dataset has too few images, or not the model's classes; or the feature does not give
            what a metric needs.
    """

    def __init__(
        self,
        model: Model,
        datasets: Mapping[str, ImageDataset],
        feature: Feature,
        protocol: Protocol,
        add_bar: Callable[[str, int], Bar],
    ) -> None:
        require_images(datasets)
        self.model = model
        self.feature = feature
        self.protocol = protocol
        self.add_bar = add_bar
        self.kinds = (*vector_kinds(model.plugins.registry, protocol.metrics, feature), PIXELS)
        size = grid(model.config.image_size)
        self.images = {split: Images(dataset, size) for split, dataset in datasets.items()}
        if model.predictor is None:
            return
        require_classes(model, datasets["train"])
        self.drawn = drawn(datasets["train"], protocol.references, protocol.seed)
        """The training images that are looked at, in random order."""

    def run(self) -> tuple[dict[str, Any], Image.Image | None]:
        """Return the numbers, and the picture of neighbours unless the model is a tokenizer alone."""
        partial = self._partial() if self.model.predictor is None else None
        quality, validation, made = self._reconstructions(partial)
        distances = {"reconstructions": self._distances(made, {"validation": validation})}
        result: dict[str, Any] = {
            "feature": self.feature.label,
            "published": dict(getattr(self.feature, "published", {})),
            "images": {"validation": len(validation)},
            "tokenizer": quality,
            "distances": distances,
            "seed": self.protocol.seed,
            "versions": {"vartk": __version__, "torch": str(torch.__version__)},
        }
        if partial is not None:
            whole = {**quality, **distances["reconstructions"]["validation"]}
            return {**result, "scales": partial.rows(validation, whole)}, None
        batches = self._batches("training images", self.drawn)
        training, conditions = see_training(
            self.model, self.images["train"], batches, self.feature, self.kinds
        )
        asked = self.protocol
        chosen = drawn_conditions(conditions, asked.count, asked.seed)
        with sampled(
            self.model, chosen, asked.seed, asked.sampling, asked.samples, asked.weights, self.add_bar
        ) as archive:
            return self._with_samples(result, archive, training, validation)

    def _with_samples(
        self, result: dict[str, Any], archive: Archive, training: Seen, validation: Seen
    ) -> tuple[dict[str, Any], Image.Image]:
        """Add the numbers of samples to a result, and return it with the picture of neighbours."""
        asked, registry = self.protocol, self.model.plugins.registry
        look = Look(self.feature, self.model.device, self.kinds, asked.sampling.batch, self.add_bar)
        samples, _ = look.at("samples", archive)
        made = sample_distances(registry, asked.metrics, samples, training, {"validation": validation})
        result["distances"] |= made
        found = {
            space: Neighbours.of(samples.vectors[space], training.vectors[space])
            for space in (FEATURES, PIXELS)
        }
        result["neighbours"] = {
            space: near_copies(near, Neighbours.of(validation.vectors[space], training.vectors[space]))
            for space, near in found.items()
        }
        result["images"] |= {
            "training": len(training),
            "training_in_all": len(self.images["train"]),
            "samples": len(samples),
            "compared": made["samples"]["training"]["n"],
        }
        result["sampling"] = plain(asked.sampling)
        return result, self._neighbours(archive, found)

    def _distances(self, found: Seen, references: Mapping[str, Seen]) -> dict[str, dict[str, float]]:
        registry, metrics = self.model.plugins.registry, self.protocol.metrics
        return {
            of: set_distances(registry, metrics, found, reference) for of, reference in references.items()
        }

    def _partial(self) -> Partial:
        size, metrics = self.images["validation"].size, self.protocol.metrics
        return Partial(self.model, size, self.feature, self.kinds, metrics)

    def _reconstructions(self, partial: Partial | None) -> tuple[dict[str, float], Seen, Seen]:
        """Return the quality of the tokenizer on the validation images, these, and what it made of them."""
        images, tokenizer, schedule = (
            self.images["validation"],
            self.model.tokenizer,
            self.model.schedule.scales,
        )
        quality = ReconstructionQuality(
            self.model.plugins.registry, tokenizer.space, len(schedule), images.size, self.feature
        )
        seen, made = [], []
        indices = list(range(len(images)))
        for batch in self._batches("validation images", indices):
            pixels = torch.stack([images[i] for i in batch]).to(self.model.device)
            with torch.no_grad():
                output = tokenizer(pixels, schedule)
            quality.update(output, pixels)
            if partial is not None:
                partial.update(output.codes, pixels)
            seen.append(Seen.of(self.feature, (pixels + 1) / 2, self.kinds))
            made.append(Seen.of(self.feature, (output.images + 1) / 2, self.kinds))
        return quality.compute(), Seen.joined(seen), Seen.joined(made)

    def _neighbours(self, archive: Archive, found: Mapping[str, Neighbours]) -> Image.Image:
        """Return samples, from the one nearest to a training image to the farthest, beside their nearest."""
        order = found[FEATURES].distances.argsort().tolist()
        count = min(SHOWN, len(order))
        shown = [order[i * len(order) // count] for i in range(count)]
        images, labels = [], []
        for sample, picture in zip(shown, archive.picked(shown), strict=True):
            images.append(picture / 255)
            labels.append(f"sample {sample}")
            for space, near in found.items():
                training = self.images["train"][self.drawn[near.indices[sample]]]
                images.append((training + 1) / 2)
                labels.append(f"{space} {near.distances[sample]:.3g}")
        return labelled_grid(enlarged(torch.stack(images)), labels, columns=9)

    def _batches(self, title: str, indices: list[int]) -> Iterator[Sequence[int]]:
        """Yield the indices in batches, on a bar."""
        return in_batches(indices, self.protocol.sampling.batch, self.add_bar(title, len(indices)))
