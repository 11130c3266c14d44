"""Which images are compared, and with what: checked before minutes of work, and carried out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError

from ... import __version__
from ...components import plugins
from ...config import parse_overrides
from ...engine.data import Images
from ...engine.distributed import ALONE, World
from ...engine.recipes import open_datasets
from ...engine.sets import set_distances, vector_kinds
from ...hub import find_model
from ...tasks.sample import Bar
from ...tasks.sweep import Axis
from ..data import KEYS, UNSAID, data_config
from ..looking import Look
from ..pictures import Pictures, Split
from .protocols import PUBLISHED, find_protocol
from .reference import Reference
from .remarks import remarks
from .source import Finished, Sampled, Source

SAMPLES = 1000
"""Samples, where neither a number nor a protocol says how many."""

SPLITS = ("train", "validation")
"""References that are the images of the dataset."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is to be compared, as it is typed after `vartk eval`.

    Attributes:
        images: a model; or a folder or an npz file of finished images.
        finished: whether it is the second.
        reference: a folder, an npz file, or one of `SPLITS`; None for the protocol's.
        protocol: the name of one, which decides what is not typed; None for none.
        save_reference: where its statistics are written.
        overrides: `key=value` settings.
        axes: settings that are varied; each combination is a set of samples.
        data: the configuration that names the dataset; None for the model's own.
        count: samples, None for the protocol's or `SAMPLES`; seed: of the first one, counting up from it.
        samples: the folder where they are kept; None for a temporary one.
    """

    images: str
    finished: bool
    reference: str | None
    protocol: str | None
    save_reference: Path | None
    overrides: Sequence[str]
    axes: Sequence[Axis]
    data: str | None
    count: int | None
    seed: int
    samples: Path | None
    device: str


class Plan:
    """A comparison with a reference that can run.

    Args:
        note: shows what there is to say.
        world: the processes that share the sampling; each of them makes a plan.

    Raises:
        VartkError: the images, the reference, a setting or a metric is unknown, or cannot be used here.
    """

    def __init__(self, options: Options, note: Callable[[str], None], world: World = ALONE) -> None:
        self.options, self.note, self.world = options, note, world
        settings = dict(parse_overrides(options.overrides).values)
        chosen = {key: settings.pop(key) for key in KEYS if key in settings}
        typed = "metrics" in chosen
        self.protocol = None if options.protocol is None else find_protocol(options.protocol)
        if self.protocol is not None:
            own = {"feature": self.protocol.feature, "metrics": list(self.protocol.metrics)}
            chosen = {**own, **chosen}
        place = Path(options.images) if options.finished else find_model(options.images)
        self.config, named = data_config(options.data, options.images, place, chosen)
        self.registry = plugins().registry
        slot = self.config.feature
        self.feature = self.registry.build("feature", slot.name, slot.params)
        self.kinds = vector_kinds(self.registry, self.config.metrics, self.feature)
        self.source: Source
        if options.finished:
            batch = self.config.sampling.batch
            self.source = Finished(place, settings, options.axes, batch, options.device)
        else:
            self.source = Sampled(
                options.images,
                options.device,
                settings,
                options.axes,
                self._count,
                options.seed,
                options.samples,
                world,
            )
        self.reference = self._reference(named=named)
        self.metrics = self._metrics(typed=typed)

    def carry_out(self, add_bar: Callable[[str, int], Bar]) -> list[dict[str, Any]]:
        """Return the numbers of each set of images and how they were made, ready for JSON.

        Processes that do not lead help to sample, and return nothing.

        Raises:
            VartkError: an image is damaged, a set is too small for a metric, or a vector is not finite.
        """
        options, source = self.options, self.source
        look = Look(self.feature.to(source.device), source.device, self.kinds, source.batch, add_bar)
        reference = self.reference.looked_at(look) if self.world.leads else self.reference
        if self.world.leads and options.save_reference is not None:
            reference.save(options.save_reference, self.feature)
        results = []
        for index, varied in enumerate(source.sets):
            if varied:
                self.note(", ".join(f"{key}={value}" for key, value in varied.items()))
            with source.pictures(index, add_bar) as pictures:
                if self.world.leads:
                    results.append({"varied": varied, **self._compared(index, pictures, reference, look)})
        return results

    def _compared(self, index: int, pictures: Pictures, reference: Reference, look: Look) -> dict[str, Any]:
        """Return the numbers of one set."""
        found, sizes = look.at("images", pictures)
        numbers = set_distances(self.registry, self.metrics, found, reference.seen, reference.moments)
        result = {
            "images": self.options.images,
            "reference": reference.name,
            "feature": self.feature.label,
            "published": dict(getattr(self.feature, "published", {})),
            "n": numbers.pop("n"),
            "m": numbers.pop("m"),
            "stored_moments": sorted(reference.moments),
            "size": sizes[0],
            "reference_size": next(iter(reference.sizes), None),
            "numbers": numbers,
            "remarks": remarks(pictures, found, sizes, reference),
            "class_counts": sorted(Counter(pictures.labels).values()),
            **self.source.facts(index),
            "device": str(self.source.device),
            "versions": {"vartk": __version__, "torch": str(torch.__version__)},
        }
        protocol = self.protocol or PUBLISHED
        return {**result, "protocol": {"name": protocol.name, "departures": protocol.departures(result)}}

    def _count(self, classes: int) -> int:
        """Return the samples of a set."""
        if self.options.count is not None:
            return self.options.count
        return SAMPLES if self.protocol is None else self.protocol.each * classes

    def _reference(self, *, named: bool) -> Reference:
        """Open what --reference names."""
        options = self.options
        if options.reference is None:
            assert self.protocol is not None  # one of the two is typed
            return Reference.read(self.protocol.reference(self.source.size), self.feature)
        if options.reference not in SPLITS:
            return Reference.read(Path(options.reference), self.feature)
        if not named:
            raise VartkError(
                f"--reference {options.reference} is a split of the dataset, and {options.images} {UNSAID}; "
                "name it with --data CONFIG, or with dataset=NAME"
            )
        dataset = open_datasets(self.config, self.note, [options.reference])[options.reference]
        return Reference(options.reference, Split(Images(dataset, self.source.size)))

    def _metrics(self, *, typed: bool) -> list[str]:
        """Return the metrics that the reference allows; those that were typed must all be."""
        missing, name = self.reference.missing(self.registry, self.config.metrics), self.reference.name
        left = [name for name in self.config.metrics if name not in missing]
        if missing and (typed or not left):
            raise VartkError(
                f"{', '.join(missing)} needs the images of the reference, and {name} has only statistics; "
                f"leave it out, as in metrics=[{','.join(left) or 'fd'}]"
            )
        for metric in missing:
            self.note(f"{metric} is left out: {name} has only statistics")
        return left
