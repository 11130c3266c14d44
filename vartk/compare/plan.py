"""What a comparison is asked to do, checked before minutes of work, and how it is carried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vartk_registry import MissingRequirement, VartkError
from vartk_registry.interfaces import Feature

from ..components import plugins
from ..config import EvalConfig, Layer, parse_overrides, plain
from ..engine.build import grid
from ..engine.classes import require_classes
from ..engine.data import Images
from ..engine.recipes import open_datasets
from ..evaluation import data_config, vector_kinds
from ..evaluation.data import KEYS, UNSAID
from ..evaluation.real_images import (
    drawn,
    drawn_conditions,
    in_batches,
    require_images,
    see_training,
)
from ..hub import find_model
from ..tasks.sample import Bar, conditions
from .comparison import Comparison, versions
from .files import Kept
from .source import Source, is_configuration, split_words
from .ways import parse_ways

SETS = "distances between sets of images"
PERCEPTUAL = "perceptual distance"

RANDOM = "the weights are random, and so is what the images show"

SMALLEST_SET = 4
"""Images that have a distance to other sets, at least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is to be compared, as it is typed after `vartk compare`.

    Attributes:
        model: a model, a preset or a YAML file.
        overrides: `key=value` settings.
        published: whether a preset's name stands for its published weights, not for random ones.
        cache, ways: see `parse_ways`.
        data: the configuration that names the dataset; None for the model's own.
        classes: as they are named; None for all, or those of the training images.
        prompts: as they are typed.
        count: images a way; batch: images at once, None for the model's default.
        references: training images that are looked at, at most.
        seed: of the first image, counting up from it, and of the draws of images.
    """

    model: str
    overrides: Sequence[str]
    published: bool
    cache: str | None
    ways: Sequence[str]
    data: str | None
    classes: Sequence[str] | None
    prompts: Sequence[str]
    count: int
    batch: int | None
    references: int
    seed: int
    device: str


class Plan:
    """A comparison that can run: its models, its ways, and what it looks at images with.

    Args:
        options: what was asked for.
        labels_of: returns what images are asked of a model, as for `conditions`; none for all classes.

    Raises:
        VartkError: the model, a way, a setting, a class or a metric is unknown, or cannot be used here.
    """

    def __init__(self, options: Options, labels_of: Callable[[Any], list[Any]]) -> None:
        random = not options.published and is_configuration(options.model)
        of_model, of_sampling = split_words(options.overrides) if random else ([], options.overrides)
        settings = dict(parse_overrides(of_sampling).values)
        chosen = {key: settings.pop(key) for key in KEYS if key in settings}
        if options.batch is not None:
            settings["batch"] = options.batch
        if random:
            _refuse_data(options, chosen)
            self.config, named = EvalConfig(), False
        else:
            self.config, named = data_config(options.data, options.model, find_model(options.model), chosen)
        self.options = options
        self.source = Source(options.model, options.device, tuple(of_model) if random else None)
        self.model = self.source.open()
        self.labels = labels_of(self.model)
        conditions(self.model, self.labels)
        shared = Layer("command line", settings)
        self.ways = parse_ways(self.model, shared, options.cache, options.ways, self.source.open_refiner)
        self.left_out = dict.fromkeys((SETS, PERCEPTUAL), RANDOM) if random else {}
        self.feature = None if random else self._feature()
        self.kinds: tuple[str, ...] = ()
        if self.feature is not None:  # mistakes are told before minutes of work
            self.kinds = vector_kinds(plugins().registry, self.config.metrics, self.feature)
        if SETS not in self.left_out and (why := self._no_sets(named=named)):
            self.left_out[SETS] = why

    def made_by(self) -> dict[str, Any]:
        """Return everything that decides the images and their times."""
        options, own, weights = self.options, plain(self.config), self.source.weights
        return {
            "model": options.model,
            "weights": weights(options.model, self.model),
            "count": options.count,
            "seed": options.seed,
            "class": options.classes,
            "prompt": options.prompts,
            "device": options.device,
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "first": self.ways[0].name,
            "ways": {way.name: way.settings for way in self.ways},
            "refiners": {
                way.name: {**refiner.settings, "weights": weights(refiner.name, refiner.model)}
                for way in self.ways
                if (refiner := way.refiner) is not None
            },
            "left out": self.left_out,
            **(
                {} if SETS in self.left_out else {"references": options.references, "dataset": own["dataset"]}
            ),
            "feature": own["feature"],
            "vectors": self.kinds,
        }

    def carry_out(
        self, kept: Kept, note: Callable[[str], None], add_bar: Callable[[str, int], Bar]
    ) -> tuple[Comparison, dict[str, Any]]:
        """Compare, going on with what is kept; return the comparison and its numbers, ready for JSON.

        Args:
            kept: begun by an equal plan (see `made_by`), or not begun.
            note: shows what a dataset has to say.
        """
        if kept.labels is None:
            self._begin(kept, note, add_bar)
        comparison = Comparison(
            self.source, self.model, self.ways, kept.labels or [], self.options.seed, kept, add_bar
        )
        comparison.sample()
        comparison.measure_memory()
        feature = self.feature and self.feature.to(self.model.device)
        return comparison, {
            "weights": "random" if self.source.random else "the model's own",
            "feature": feature and feature.label,
            "dataset": None if SETS in self.left_out else self.config.dataset.name,
            "left_out": self.left_out,
            **comparison.compare(feature, self.kinds, kept.real, self.config.metrics),
        }

    def _feature(self) -> Feature | None:
        """Build the feature, or add to `left_out` what is missing without it."""
        slot = self.config.feature
        try:
            return plugins().registry.build("feature", slot.name, slot.params)
        except MissingRequirement as error:
            self.left_out |= dict.fromkeys((SETS, PERCEPTUAL), str(error))
            return None

    def _no_sets(self, *, named: bool) -> str:
        """Return why the images are not compared with real ones as sets, or nothing."""
        if self.labels:
            return "the images have other classes than the training images, by --class"
        if not named:
            return f"{self.options.model} {UNSAID} (--data CONFIG, or dataset=NAME)"
        if self.options.count < SMALLEST_SET:
            return f"{self.options.count} are too few for one, by --count"
        return ""

    def _begin(self, kept: Kept, note: Callable[[str], None], add_bar: Callable[[str, int], Bar]) -> None:
        """Choose the conditions of the images, and look at real ones where sets are compared."""
        options, model = self.options, self.model
        if self.feature is None or SETS in self.left_out:
            chosen, _ = conditions(model, self.labels)
            kept.begin([chosen[i % len(chosen)] for i in range(options.count)], None)
            return
        datasets = open_datasets(self.config, note, ["train"])
        require_images(datasets)
        require_classes(model, datasets["train"])
        images = Images(datasets["train"], grid(model.config.image_size))
        found = drawn(images.dataset, options.references, options.seed)
        batches = in_batches(found, model.config.sampling.batch, add_bar("training images", len(found)))
        real, seen = see_training(model, images, batches, self.feature.to(model.device), self.kinds)
        kept.begin(drawn_conditions(seen, options.count, options.seed), real)


def _refuse_data(options: Options, chosen: dict[str, Any]) -> None:
    """Refuse settings about real images, with which those of random weights are not compared."""
    given = [*chosen, *(["--data"] if options.data is not None else [])]
    if given:
        raise VartkError(
            f"{options.model} is a configuration and gets random weights, whose images are not compared "
            f"with real ones; drop {', '.join(given)}, name a trained model, or, where a preset has "
            "published weights, add --published"
        )
