"""Compares ways to sample: the same images by each, in turns, beside those of the first way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import Feature

from .. import __version__
from ..bench.memory import MEANING, Failed, peak_memory
from ..bench.timing import spread
from ..config import SamplingConfig
from ..engine.model import Model
from ..evaluation import Seen, set_distances
from ..tasks.sample import Bar
from .closeness import Closeness
from .files import Kept
from .sampling import Batch, configured, sample_once, sample_timed
from .source import Source
from .ways import Way


class Comparison:
    """Several ways to sample with one model, or with another one that goes on.

    Args:
        source: opens the model and the ways' refiners, in another process too.
        model: as it was opened.
        ways: their batch is the first one's; the others are compared with the first.
        labels: of the images, one each; seed: of the first one, the others counting up from it.
        kept: where finished batches are; those that are there are not sampled again.
    """

    def __init__(
        self,
        source: Source,
        model: Model,
        ways: Sequence[Way],
        labels: Sequence[Any],
        seed: int,
        kept: Kept,
        add_bar: Callable[[str, int], Bar],
    ) -> None:
        self.source = source
        self.model = model
        self.ways = ways
        self.labels = labels
        self.seeds = [seed + index for index in range(len(labels))]
        self.kept = kept
        self.add_bar = add_bar
        self._models: dict[tuple[int, str, bool], Model] = {}

    @property
    def batch(self) -> int:
        """The images that are sampled at once; the last batch may have fewer."""
        return min(self.ways[0].sampling.batch, len(self.labels))

    def sample(self) -> None:
        """Sample what is not kept yet, batch by batch, in every way before the next batch.

        Raises:
            VartkError: a way cannot run here; this is found before the first batch is kept.
        """
        bar = self.add_bar("sample", len(self.ways) * len(self.labels))
        todo = [
            (way, start)
            for start in range(0, len(self.labels), self.batch)
            for way in self.ways
            if not self.kept.has(way.name, start)
        ]
        done = len(self.ways) * len(self.labels) - sum(len(self._rows(start)) for _, start in todo)
        pending = {way.name for way, _ in todo}
        for way in self.ways:
            if way.name in pending:
                bar.update(done, f"warm-up: {way.name}")
                self._sample(way, 0)
        bar.update(done)
        for way, start in todo:
            batch = self._sample(way, start)
            self.kept.keep(way.name, start, batch.tensors())
            done += len(batch.images)
            seconds = sum(batch.seconds) / len(batch.images)
            bar.update(done, f"{way.name}: {seconds:.3g} s/image")

    def measure_memory(self) -> None:
        """Measure the memory of each way in a process of its own, or keep the reason why it cannot be."""
        bar = self.add_bar("memory", len(self.ways))
        for done, way in enumerate(self.ways, 1):
            if self.kept.memory(way.name) is None:
                models, draft = [(self.source.open, way.sampling)], None
                if way.refiner is not None:
                    models.append((partial(self.source.open_refiner, way.refiner.name), way.refiner.sampling))
                    draft = way.refiner.draft
                work = self.labels[: self.batch], self.seeds[: self.batch], models, draft
                try:
                    found: int | str = peak_memory(self.model.device, sample_once, *work)
                except Failed as error:
                    found = str(error)
                self.kept.keep_memory(way.name, found)
            bar.update(done, way.name)

    def compare(
        self, feature: Feature | None, kinds: Sequence[str], real: Seen | None, metrics: Sequence[str]
    ) -> dict[str, Any]:
        """Return the numbers of every way, ready for JSON.

        Args:
            feature: sees the images; None leaves the perceptual distance out.
            kinds: of vectors that the metrics need (`vector_kinds`).
            real: real images in random order; None leaves the `metrics` of sets of features out.
        """
        bar = self.add_bar("compare", len(self.ways) * len(self.labels))
        rows: list[dict[str, Any]] = []
        compared = 0 if real is None else min(len(self.labels), len(real) // 2)
        registry = self.model.plugins.registry
        for index, way in enumerate(self.ways):
            before = index * len(self.labels)
            row, seen = self._numbers(way, feature, kinds, lambda n, b=before: bar.update(b + n))
            first = rows[0] if rows else row
            row["speedup"] = first["seconds_per_image"]["median"] / row["seconds_per_image"]["median"]
            row["transformer_speedup"] = first["transformer_seconds"] / row["transformer_seconds"]
            if real is not None and seen is not None:
                row |= set_distances(registry, metrics, seen[:compared], real[compared:])
            rows.append(row)
        result: dict[str, Any] = {
            "model": self.source.name,
            "count": len(self.labels),
            "seed": self.seeds[0],
            "batch": self.batch,
            "labels": list(self.labels),
            "device": str(self.model.device),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "memory": f"{MEANING[self.model.device.type]}, for one batch",
            "ways": rows,
        }
        if real is not None:
            result["real_images"] = set_distances(registry, metrics, real[:compared], real[compared:])
        return result

    def batches(self, way: Way) -> Iterator[Batch]:
        """Yield the batches of a way that has been sampled."""
        for start in range(0, len(self.labels), self.batch):
            yield Batch.of(self.kept.read(way.name, start))

    def shown(self, way: Way, rows: Sequence[int]) -> torch.Tensor:
        """Return some images [N, 3, H, W] in [0, 1] of a way."""
        wanted = {row // self.batch * self.batch for row in rows}
        read = {start: Batch.of(self.kept.read(way.name, start)).images for start in wanted}
        images = [read[row // self.batch * self.batch][row % self.batch] for row in rows]
        return torch.stack(images) / 255

    def _numbers(
        self, way: Way, feature: Feature | None, kinds: Sequence[str], done: Callable[[int], None]
    ) -> tuple[dict[str, Any], Seen | None]:
        """Return the numbers of a way but those of sets, and what the feature sees of its images."""
        closeness = Closeness(self.model, feature)
        transformer, decoder, worked, held, seen = [], [], [], 0, []
        for batch, first in zip(self.batches(way), self.batches(self.ways[0]), strict=True):
            count = len(batch.images)
            closeness.update(batch, first)
            if feature is not None:
                seen.append(Seen.of(feature, batch.images.to(self.model.device) / 255, kinds))
            if count == self.batch:  # a smaller one, at the end, has another speed
                transformer.append(batch.seconds[0] / count)
                decoder.append(batch.seconds[1] / count)
                worked.append([seconds / count for seconds in batch.processor_seconds])
                held = max(held, batch.cache_bytes)
            done(closeness.count)
        both = [sum(seconds) for seconds in zip(transformer, decoder, strict=True)]
        memory = self.kept.memory(way.name)
        row = {
            "name": way.name,
            "sampling": way.settings,
            **({} if way.refiner is None else {"refiner": way.refiner.settings}),
            "seconds_per_image": asdict(spread(both)),
            "transformer_seconds": spread(transformer).median,
            "decoder_seconds": spread(decoder).median,
            **({"processor_seconds": _by_stage(worked)} if self.model.device.type == "cpu" else {}),
            "cache_bytes_per_image": held / self.batch,
            "peak_memory_bytes": memory if isinstance(memory, int) else None,
            **({"peak_memory_refused": memory} if isinstance(memory, str) else {}),
            **closeness.compute(),
        }
        return row, Seen.joined(seen) if seen else None

    def _sample(self, way: Way, start: int) -> Batch:
        rows = self._rows(start)
        labels, seeds = ([of[row] for row in rows] for of in (self.labels, self.seeds))
        model, refiner, draft = self._ready(self.model, way.sampling), None, None
        if way.refiner is not None:
            refiner, draft = self._ready(way.refiner.model, way.refiner.sampling), way.refiner.draft
        try:
            return sample_timed(model, labels, seeds, refiner, draft)
        except VartkError as error:
            raise VartkError(f"{way.name}: {error}") from error

    def _ready(self, model: Model, sampling: SamplingConfig) -> Model:
        """Return a model with a way's settings.

        Ways of one precision share its copies of the weights; another's would take their place.
        """
        copies = id(model), sampling.precision, sampling.compile
        if copies not in self._models:
            self._models[copies] = configured(model, sampling)
        self._models[copies].config.sampling = sampling
        return self._models[copies]

    def _rows(self, start: int) -> range:
        return range(start, min(start + self.batch, len(self.labels)))


def _by_stage(seconds: Sequence[Sequence[float]]) -> dict[str, float]:
    """Return the medians of the transformer's and of the decoder's numbers."""
    medians = (spread(stage).median for stage in zip(*seconds, strict=True))
    return dict(zip(("transformer", "decoder"), medians, strict=True))


def versions() -> dict[str, str]:
    """Return the versions that images depend on."""
    return {"vartk": __version__, "torch": str(torch.__version__)}
