"""Speed, memory and quality of whole systems, on the same classes and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from vartk_registry import MissingRequirement

from ...bench.memory import MEANING, Failed, peak_memory
from ...bench.timing import spread
from ...components import plugins
from ...config import plain
from ...engine.blend import title_of
from ...engine.build import grid
from ...engine.classes import require_classes
from ...engine.data import Images
from ...engine.recipes import open_datasets
from ...evaluation import Seen, data_config, set_distances, vector_kinds
from ...evaluation.data import UNSAID
from ...evaluation.real_images import drawn, drawn_conditions, in_batches, see_training
from ...hub import find_model
from ...tasks.sample import Bar, conditions
from ..comparison import versions
from .system import AnyModel, System, parameters, require_alike, sample_once, timed

SHOWN = 8
"""Images of each system that are kept for the picture."""

SMALLEST_SET = 4
"""Images that have a distance to other sets, at least."""


class Contest:
    """Systems that take turns, batch by batch.

    Args:
        systems: the others are compared with the first.
        seed: of the first image; each further image adds 1.

    Raises:
        VartkError: there is no such model, a setting is unknown, or two systems have other classes.
    """

    def __init__(self, systems: Sequence[System], seed: int, add_bar: Callable[[str, int], Bar]) -> None:
        self.systems = systems
        self.models = [system.open() for system in systems]
        self.seed = seed
        self.add_bar = add_bar
        self.shown: dict[str, torch.Tensor] = {}
        self._real: Seen | None = None
        self._left_out = ""
        require_alike(systems, self.models)

    def choose(
        self,
        labels: Sequence[str],
        count: int,
        batch: int | None,
        references: int,
        *,
        data: str | None,
        chosen: Mapping[str, Any],
        note: Callable[[str], None],
    ) -> None:
        """Choose what is sampled, and look at the real images that samples are compared with.

        Args:
            labels: classes or prompts, in turn; none for those of the training images.
            references: training images that are looked at, at most.
            data: the configuration that names the dataset; None for the first model's own.
            chosen: settings of dataset, feature and metrics.
            note: shows what a dataset has to say.

        Raises:
            VartkError: a class, the dataset, the feature or a metric is unknown; or there are no labels.
        """
        model, name = self.models[0], self.systems[0].model
        self.batch = min(batch or model.config.sampling.batch, count)
        config, named = data_config(data, name, find_model(name), chosen)
        self._config, self._feature, self._kinds = config, None, ()
        self._left_out = self._why_no_sets(labels, count, named=named)
        if not self._left_out:
            try:
                slot = config.feature
                self._feature = plugins().registry.build("feature", slot.name, slot.params).to(model.device)
            except MissingRequirement as error:
                self._left_out = str(error)
        if self._left_out:
            given, _ = conditions(model, labels)
            self.labels = [given[i % len(given)] for i in range(count)]
            return
        self._kinds = vector_kinds(plugins().registry, config.metrics, self._feature)
        dataset = open_datasets(config, note, ["train"])["train"]
        require_classes(model, dataset)
        found = drawn(dataset, references, self.seed)
        batches = in_batches(found, self.batch, self.add_bar("training images", len(found)))
        images = Images(dataset, grid(model.config.image_size))
        self._real, found = see_training(model, images, batches, self._feature, self._kinds)
        self.labels = drawn_conditions(found, count, self.seed)

    def measure(self) -> dict[str, Any]:
        """Return the numbers of every system, ready for JSON."""
        first = [self._first(model) for model in self.models]
        seconds, seen = self._sample()
        registry, metrics = self.models[0].plugins.registry, self._config.metrics
        compared = 0 if self._real is None else min(len(self.labels), len(self._real) // 2)
        rows: list[dict[str, Any]] = []
        for index, (system, model) in enumerate(zip(self.systems, self.models, strict=True)):
            row: dict[str, Any] = {
                "name": system.name,
                "model": system.model,
                "sampling": plain(model.sampling()),
                "parameters": parameters(model),
                "seconds_per_image": asdict(spread(seconds[system.name])),
                "first_image_seconds": first[index],
                **self._memory(system),
            }
            fastest = rows[0] if rows else row
            row["speedup"] = fastest["seconds_per_image"]["median"] / row["seconds_per_image"]["median"]
            if self._real is not None:
                samples = Seen.joined(seen[system.name])[:compared]
                row |= set_distances(registry, metrics, samples, self._real[compared:])
            rows.append(row)
        result: dict[str, Any] = {
            "count": len(self.labels),
            "seed": self.seed,
            "batch": self.batch,
            "labels": self.labels,
            "device": str(self.models[0].device),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "memory": f"{MEANING[self.models[0].device.type]}, for one batch",
            "left_out": self._left_out,
            "feature": self._feature and self._feature.label,
            "dataset": self._config.dataset.name,
            "systems": rows,
        }
        if self._real is not None:
            floor = set_distances(registry, metrics, self._real[:compared], self._real[compared:])
            result["real_images"] = floor
        return result

    def names(self, labels: Sequence[int | str]) -> list[str]:
        """Return what images of labels are called."""
        classes = self.models[0].classes
        return [title_of(label, classes) for label in labels]

    def _sample(self) -> tuple[dict[str, list[float]], dict[str, list[Seen]]]:
        """Sample each batch by every system before the next one: seconds an image, and what is seen."""
        seconds: dict[str, list[float]] = {system.name: [] for system in self.systems}
        seen: dict[str, list[Seen]] = {system.name: [] for system in self.systems}
        bar, done = self.add_bar("sample", len(self.systems) * len(self.labels)), 0
        for start in range(0, len(self.labels), self.batch):
            labels = self.labels[start : start + self.batch]
            seeds = [self.seed + start + index for index in range(len(labels))]
            for system, model in zip(self.systems, self.models, strict=True):
                images, took = timed(model, labels, seeds)
                if len(labels) == self.batch:  # a smaller batch, at the end, has another speed
                    seconds[system.name].append(took / len(labels))
                if self._feature is not None:
                    seen[system.name].append(Seen.of(self._feature, images, self._kinds))
                before = self.shown.get(system.name, images[:0].cpu())
                self.shown[system.name] = torch.cat((before, images.cpu()))[:SHOWN]
                done += len(labels)
                bar.update(done, f"{system.name}: {took / len(labels):.3g} s/image")
        return seconds, seen

    def _first(self, model: AnyModel) -> float:
        """Return the seconds to one image, after warm-ups, of which the last one prepares the batches."""
        alone = self.labels[:1], [self.seed]
        timed(model, *alone)
        timed(model, *alone)
        took = timed(model, *alone)[1]
        for _ in range(2):
            timed(model, self.labels[: self.batch], [self.seed + i for i in range(self.batch)])
        return took

    def _memory(self, system: System) -> Mapping[str, Any]:
        labels, seeds = self.labels[: self.batch], [self.seed + i for i in range(self.batch)]
        try:
            peak = peak_memory(self.models[0].device, sample_once, system, labels, seeds)
        except Failed as error:
            return {"peak_memory_bytes": None, "peak_memory_refused": str(error)}
        return {"peak_memory_bytes": peak}

    def _why_no_sets(self, labels: Sequence[str], count: int, *, named: bool) -> str:
        """Return why the images are not compared with real ones as sets, or nothing."""
        if labels:
            return "the images have other classes than the training images, by --class"
        if not named:
            return f"{self.systems[0].model} {UNSAID} (--data CONFIG, or dataset=NAME)"
        if count < SMALLEST_SET:
            return f"{count} are too few for one, by --count"
        return ""
