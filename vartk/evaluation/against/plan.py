"""Which images are compared, and with what: checked before minutes of work, and carried out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import Grid

from ... import __version__
from ...components import plugins
from ...config import EvalConfig, leaves, parse_overrides, plain
from ...engine.build import grid
from ...engine.data import Images
from ...engine.device import as_device
from ...engine.distributed import ALONE, World
from ...engine.generators.model import GeneratorModel
from ...engine.inference.precision import precision
from ...engine.model import Model
from ...engine.recipes import open_datasets
from ...hub import find_model, fingerprints, load
from ...tasks.sample import Bar
from ..data import KEYS, UNSAID, data_config
from ..pictures import Pictures, Split, open_pictures
from ..samples import sampled
from ..sets import set_distances, vector_kinds
from .looking import Look
from .protocols import FREE, PUBLISHED, find_protocol
from .reference import Reference
from .remarks import remarks

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
        self.model: Model | GeneratorModel | None = None
        self.count = 0
        if options.finished:
            self.batch = _batch(options.images, settings, self.config)
        else:
            self.model = load(options.images, device=options.device)
            self.sampling = self.model.sampling(**settings)
            self.batch = self.sampling.batch
            _require_sampled(options.images, self.model)
            each = None if self.protocol is None else self.protocol.each
            self.count = options.count or (SAMPLES if each is None else each * len(self.model.classes))
        self.reference = self._reference(named=named)
        self.metrics = self._metrics(typed=typed)

    def carry_out(self, add_bar: Callable[[str, int], Bar]) -> dict[str, Any] | None:
        """Return the numbers and how they were made, ready for JSON.

        Processes that do not lead help to sample, and return None.

        Raises:
            VartkError: an image is damaged, a set is too small for a metric, or a vector is not finite.
        """
        options = self.options
        device = as_device(options.device) if self.model is None else self.model.device
        look = Look(self.feature.to(device), device, self.kinds, self.batch, add_bar)
        with self._pictures(add_bar) as pictures:
            if not self.world.leads:
                return None
            reference = self.reference.looked_at(look)
            if options.save_reference is not None:
                reference.save(options.save_reference, self.feature)
            found, sizes = look.at("images", pictures)
            counts = sorted(Counter(pictures.labels).values())
        numbers = set_distances(self.registry, self.metrics, found, reference.seen, reference.moments)
        result = {
            "images": options.images,
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
            "class_counts": counts,
            **self._sampled(),
            "device": str(device),
            "versions": {"vartk": __version__, "torch": str(torch.__version__)},
        }
        protocol = self.protocol or PUBLISHED
        return {**result, "protocol": {"name": protocol.name, "departures": protocol.departures(result)}}

    def _reference(self, *, named: bool) -> Reference:
        """Open what --reference names."""
        options = self.options
        if options.reference is None:
            assert self.protocol is not None  # one of the two is typed
            return Reference.read(self.protocol.reference(self._size()), self.feature)
        if options.reference not in SPLITS:
            return Reference.read(Path(options.reference), self.feature)
        if not named:
            raise VartkError(
                f"--reference {options.reference} is a split of the dataset, and {options.images} {UNSAID}; "
                "name it with --data CONFIG, or with dataset=NAME"
            )
        dataset = open_datasets(self.config, self.note, [options.reference])[options.reference]
        size = grid((self.config if self.model is None else self.model.config).image_size)
        return Reference(options.reference, Split(Images(dataset, size)))

    def _size(self) -> Grid:
        """Return (height, width) of the images."""
        if self.model is not None:
            return grid(self.model.config.image_size)
        h, w = next(iter(open_pictures(Path(self.options.images)).batches(1))).shape[-2:]
        return h, w

    def _sampled(self) -> dict[str, Any]:
        """Return how samples were made, and which settings are not the model's own."""
        if self.model is None:
            return {"other_settings": []}
        now, own = (dict(leaves(plain(each))) for each in (self.sampling, self.model.sampling()))
        differ = [key for key in now | own if now.get(key) != own.get(key)]
        computed = precision(self.sampling.precision, self.model.device).dtype
        return {
            "seed": self.options.seed,
            "sampling": plain(self.sampling),
            "computed_in": str(computed).removeprefix("torch."),
            "other_settings": [
                [key, own.get(key), now.get(key)] for key in differ if key.partition(".")[0] not in FREE
            ],
        }

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

    @contextmanager
    def _pictures(self, add_bar: Callable[[str, int], Bar]) -> Iterator[Pictures]:
        """Give the finished images, or samples, which are removed afterwards unless they are to be kept."""
        options = self.options
        if self.model is None:
            yield open_pictures(Path(options.images))
            return
        classes = len(self.model.classes)
        labels = [index * classes // self.count for index in range(self.count)]
        with sampled(
            self.model,
            labels,
            options.seed,
            self.sampling,
            options.samples,
            fingerprints(options.images),
            add_bar,
            self.world,
        ) as archive:
            yield archive


def _batch(images: str, settings: Mapping[str, Any], config: EvalConfig) -> int:
    """Return the images that are seen at once; `VartkError` where settings of sampling are typed in vain."""
    idle = [path for path, _ in leaves(settings) if path != "batch"]
    if idle:
        raise VartkError(f"{images} holds finished images and samples nothing; drop {', '.join(idle)}")
    batch = settings.get("batch", config.sampling.batch)
    if not isinstance(batch, int) or batch < 1:
        raise VartkError(f"batch={batch} must be a whole number, 1 or more")
    return batch


def _require_sampled(name: str, model: Model | GeneratorModel) -> None:
    """Raise `VartkError` where a model has no classes to sample equally often."""
    if isinstance(model, Model) and model.predictor is None:
        raise VartkError(
            f"{name} is a tokenizer alone and samples nothing; evaluate it without --reference, which "
            "compares its reconstructions with the images of its dataset"
        )
    if model.takes != "label":
        raise VartkError(
            f"{name} is conditioned by captions; evaluate it without --reference, which samples those of its "
            "dataset, or sample first and evaluate the folder"
        )
