"""Compares ways to sample: the same images by each, in turns, beside those of the first way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import Feature

from .. import __version__
from ..bench.memory import MEANING, Failed, peak_memory
from ..bench.timing import finish, spread
from ..config import SamplingConfig, plain
from ..engine.evaluation import Seen, set_distances
from ..engine.model import Model
from ..engine.training.quality import SMALLEST_SSIM
from ..images import to_uint8
from .compare_files import Kept
from .sample import Bar

Settings = dict[str, Any]
"""All keys of the sampling configuration, nested."""


@dataclass(frozen=True, slots=True)
class Refiner:
    """The model that a way goes over to (collaborative decoding).

    Attributes:
        name: what it was opened by.
        draft: the scales that are drawn before.
        sampling: its settings, which are its own where the way has none.
    """

    name: str
    model: Model
    draft: int
    sampling: SamplingConfig

    @property
    def settings(self) -> Settings:
        """Which model, after how many scales, and every setting."""
        return {"model": self.name, "draft": self.draft, "sampling": plain(self.sampling)}


@dataclass(frozen=True, slots=True)
class Way:
    """A way to sample, by its name on screen and in files."""

    name: str
    sampling: SamplingConfig
    refiner: Refiner | None = None

    @property
    def settings(self) -> Settings:
        """Every setting."""
        return plain(self.sampling)


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that were sampled at once.

    Attributes:
        images: uint8 [B, 3, H, W].
        codes: of each scale that was generated, [B, n, *shape].
        seconds: of the transformer (with guidance, draws and accumulation), and of the decoder.
        cache_bytes: the most that was held of keys and values after a scale was drawn.
    """

    images: torch.Tensor
    codes: list[torch.Tensor]
    seconds: tuple[float, float]
    cache_bytes: int

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return everything by name, for a file."""
        return {
            "images": self.images,
            **{f"codes.{step}": codes for step, codes in enumerate(self.codes)},
            "seconds": torch.tensor(self.seconds, dtype=torch.float64),
            "cache_bytes": torch.tensor(self.cache_bytes),
        }

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> Batch:
        """Read what `tensors` wrote."""
        steps = sum(name.startswith("codes.") for name in tensors)
        transformer, decoder = tensors["seconds"].tolist()
        codes = [tensors[f"codes.{step}"] for step in range(steps)]
        return cls(tensors["images"], codes, (transformer, decoder), int(tensors["cache_bytes"]))


def configured(model: Model, sampling: SamplingConfig) -> Model:
    """Return another model on the same modules, whose defaults are these settings."""
    config = replace(model.config, sampling=sampling)
    return Model(config, model.tokenizer, model.schedule, model.predictor, model.plugins)


def sample_timed(
    model: Model,
    labels: Sequence[Any],
    seeds: Sequence[int],
    refiner: Model | None = None,
    draft: int | None = None,
) -> Batch:
    """Sample a batch by the models' defaults, and take the time of both stages."""
    device, codes, held = model.device, [], 0
    finish(device)
    start = time.perf_counter()
    for state in model.stream(labels, seed=seeds, refiner=refiner, draft=draft):
        codes.append(state.codes)
        held = max(held, state.cache_bytes)
    finish(device)
    middle = time.perf_counter()
    images = state.images
    finish(device)
    seconds = middle - start, time.perf_counter() - middle
    return Batch(to_uint8(images).cpu(), [scale.cpu() for scale in codes], seconds, held)


def sample_once(
    labels: Sequence[Any],
    seeds: Sequence[int],
    models: Sequence[tuple[Callable[[], Model], SamplingConfig]],
    draft: int | None,
) -> None:
    """Open a model, and a refiner if there is one, and sample a batch: the memory of this is measured."""
    model, *refiners = [configured(open_model(), sampling) for open_model, sampling in models]
    sample_timed(model, labels, seeds, next(iter(refiners), None), draft)


class Comparison:
    """Several ways to sample with one model, or with another one that goes on.

    Args:
        name: what the model was opened by; open_model: opens it, in another process too.
        open_refiner: opens a way's refiner by its name, there.
        ways: their batch is the first one's; the others are compared with the first.
        labels: of the images, one each; seed: of the first one, the others counting up from it.
        kept: where finished batches are; those that are there are not sampled again.
    """

    def __init__(
        self,
        name: str,
        open_model: Callable[[], Model],
        open_refiner: Callable[[str], Model],
        model: Model,
        ways: Sequence[Way],
        labels: Sequence[Any],
        seed: int,
        kept: Kept,
        add_bar: Callable[[str, int], Bar],
    ) -> None:
        self.name = name
        self.open_model = open_model
        self.open_refiner = open_refiner
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
                models, draft = [(self.open_model, way.sampling)], None
                if way.refiner is not None:
                    models.append((partial(self.open_refiner, way.refiner.name), way.refiner.sampling))
                    draft = way.refiner.draft
                work = self.labels[: self.batch], self.seeds[: self.batch], models, draft
                try:
                    found: int | str = peak_memory(self.model.device, sample_once, *work)
                except Failed as error:
                    found = str(error)
                self.kept.keep_memory(way.name, found)
            bar.update(done, way.name)

    def compare(self, feature: Feature | None, real: Seen | None, metrics: Sequence[str]) -> dict[str, Any]:
        """Return the numbers of every way, ready for JSON.

        Args:
            feature: sees the images; None leaves the perceptual distance out.
            real: real images in random order; None leaves the `metrics` of sets of features out.
        """
        bar = self.add_bar("compare", len(self.ways) * len(self.labels))
        rows: list[dict[str, Any]] = []
        compared = 0 if real is None else min(len(self.labels), len(real) // 2)
        registry = self.model.plugins.registry
        for index, way in enumerate(self.ways):
            row, seen = self._numbers(way, feature, lambda n, i=index: bar.update(i * len(self.labels) + n))
            first = rows[0] if rows else row
            row["speedup"] = first["seconds_per_image"]["median"] / row["seconds_per_image"]["median"]
            row["transformer_speedup"] = first["transformer_seconds"] / row["transformer_seconds"]
            if real is not None and seen is not None:
                row |= set_distances(registry, metrics, seen[:compared], real[compared:])
            rows.append(row)
        result: dict[str, Any] = {
            "model": self.name,
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
        self, way: Way, feature: Feature | None, done: Callable[[int], None]
    ) -> tuple[dict[str, Any], Seen | None]:
        """Return the numbers of a way but those of sets, and what the feature sees of its images."""
        closeness = Closeness(self.model, feature)
        transformer, decoder, held, seen = [], [], 0, []
        for batch, first in zip(self.batches(way), self.batches(self.ways[0]), strict=True):
            count = len(batch.images)
            closeness.update(batch, first)
            if feature is not None:
                seen.append(Seen.of(feature, batch.images.to(self.model.device) / 255))
            if count == self.batch:  # a smaller one, at the end, has another speed
                transformer.append(batch.seconds[0] / count)
                decoder.append(batch.seconds[1] / count)
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


class Closeness:
    """How close a way's images are to the first way's at the same labels and seeds."""

    def __init__(self, model: Model, feature: Feature | None) -> None:
        registry = model.plugins.registry
        self._device = model.device
        self._feature = feature
        self._psnr = registry.build("metric", "psnr", {})
        self._ssim = registry.build("metric", "ssim", {})
        self._has_ssim = False
        self._distances: list[torch.Tensor] = []
        self._codes = self._alike = self._equal = 0
        self._comparable = True
        self.count = 0

    @torch.no_grad()
    def update(self, batch: Batch, first: Batch) -> None:
        """Take a batch and the first way's; codes of scales that are skipped differ."""
        self.count += len(batch.images)
        shared = list(zip(batch.codes, first.codes, strict=False))
        self._comparable &= all(a.shape == b.shape for a, b in shared)
        if self._comparable:
            self._codes += sum(codes.numel() for codes in first.codes)
            self._alike += sum(int((a == b).sum()) for a, b in shared)
        images, expected = (of.images.to(self._device) / 255 for of in (batch, first))
        differ = (batch.images != first.images).flatten(1).any(dim=1)
        self._equal += int((~differ).sum())
        if differ.any():
            self._psnr.update(images[differ], expected[differ])
        if min(images.shape[-2:]) >= SMALLEST_SSIM:
            self._has_ssim = True
            self._ssim.update(images, expected)
        if self._feature is not None:
            self._distances.append(self._feature.distance(images, expected).cpu())

    def compute(self) -> dict[str, float | None]:
        """Return the shares that are equal, and the means over images; PSNR over those that differ."""
        numbers: dict[str, float | None] = {
            "codes_alike": self._alike / self._codes if self._comparable else None,
            "images_equal": self._equal / self.count,
            "psnr_db": None if self._equal == self.count else self._psnr.compute()["psnr_db"],
        }
        if self._has_ssim:
            numbers |= self._ssim.compute()
        if self._distances:
            numbers["perceptual"] = torch.cat(self._distances).mean().item()
        return numbers


def versions() -> dict[str, str]:
    """Return the versions that images depend on."""
    return {"vartk": __version__, "torch": str(torch.__version__)}
