"""Where the images come from that are compared with a reference: files, or a model that samples them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import Grid

from ...config import GeneratorSampling, SamplingConfig, leaves, plain
from ...engine.build import grid
from ...engine.device import as_device
from ...engine.distributed import World
from ...engine.generators.model import GeneratorModel
from ...engine.inference.precision import precision
from ...engine.model import Model
from ...files import file_name
from ...hub import fingerprints, load
from ...tasks.sample import Bar
from ...tasks.sweep import Axis
from ..pictures import Pictures, open_pictures
from ..samples import sampled
from .protocols import FREE

AddBar = Callable[[str, int], Bar]
Sampling = SamplingConfig | GeneratorSampling


class Source(Protocol):
    """One or several sets of images.

    Attributes:
        sets: what is varied in each set, by the setting's key; without a sweep there is one set, and nothing.
        batch: images that the feature sees at once, on `device`.
    """

    sets: Sequence[Mapping[str, Any]]
    batch: int
    device: torch.device

    @property
    def size(self) -> Grid:
        """(height, width) of the images."""
        ...

    def pictures(self, index: int, add_bar: AddBar) -> AbstractContextManager[Pictures]:
        """Give a set while the block runs."""
        ...

    def facts(self, index: int) -> dict[str, Any]:
        """Return how a set was sampled, ready for JSON; `other_settings` are not the model's own."""
        ...


class Finished:
    """The images of a folder or an npz file; see `Source`.

    Raises:
        VartkError: there are none, or `settings` or `axes` of sampling are typed in vain.
    """

    def __init__(
        self, path: Path, settings: Mapping[str, Any], axes: Sequence[Axis], batch: int, device: str
    ) -> None:
        idle = [key for key, _ in leaves(settings) if key != "batch"] + [
            f"--over {axis.key}" for axis in axes
        ]
        if idle:
            raise VartkError(f"{path} holds finished images and samples nothing; drop {', '.join(idle)}")
        self.batch = settings.get("batch", batch)
        if not isinstance(self.batch, int) or self.batch < 1:
            raise VartkError(f"batch={self.batch} must be a whole number, 1 or more")
        self.sets: Sequence[Mapping[str, Any]] = [{}]
        self.device = as_device(device)
        self._path = path
        open_pictures(path)

    @property
    def size(self) -> Grid:
        """(height, width) of the first image."""
        h, w = next(iter(open_pictures(self._path).batches(1))).shape[-2:]
        return h, w

    @contextmanager
    def pictures(self, index: int, add_bar: AddBar) -> Iterator[Pictures]:
        """Give the images."""
        yield open_pictures(self._path)

    def facts(self, index: int) -> dict[str, Any]:
        """Return that nothing is known."""
        return {"other_settings": []}


class Sampled:
    """Samples of a model, all classes equally often; see `Source`.

    Args:
        settings: nested keys of sampling, for all sets.
        axes: what is varied.
        count: samples of a set; called with the number of classes.
        folder: where they are kept; None for a temporary folder.

    Raises:
        VartkError: there is no such model, it has no classes, or a setting is unknown.
    """

    def __init__(
        self,
        name: str,
        device: str,
        settings: Mapping[str, Any],
        axes: Sequence[Axis],
        count: Callable[[int], int],
        seed: int,
        folder: Path | None,
        world: World,
    ) -> None:
        self._name, self._seed, self._folder, self._world = name, seed, folder, world
        self.model = load(name, device=device)
        _require_classes(name, self.model)
        classes = len(self.model.classes)
        self._labels = [index * classes // count(classes) for index in range(count(classes))]
        given = dict(leaves(settings))
        if both := [axis.key for axis in axes if axis.key in given]:
            raise VartkError(f"{both[0]} is set and varied; give it once, as a setting or by --over")
        keys = [axis.key for axis in axes]
        self.sets = [
            dict(zip(keys, values, strict=True)) for values in product(*(axis.values for axis in axes))
        ]
        self._samplings = [self.model.sampling(**settings, **own) for own in self.sets]

    @property
    def batch(self) -> int:
        """The samples that are drawn at once."""
        return self._samplings[0].batch

    @property
    def device(self) -> torch.device:
        """The model's."""
        return self.model.device

    @property
    def size(self) -> Grid:
        """(height, width) that the model makes."""
        return grid(self.model.config.image_size)

    @contextmanager
    def pictures(self, index: int, add_bar: AddBar) -> Iterator[Pictures]:
        """Give samples, in a folder of their own where they are kept and varied."""
        folder = self._folder
        if folder is not None and self.sets[index]:
            folder /= file_name(" ".join(f"{key}={value}" for key, value in self.sets[index].items()))
        with sampled(
            self.model,
            self._labels,
            self._seed,
            self._samplings[index],
            folder,
            fingerprints(self._name),
            add_bar,
            self._world,
        ) as archive:
            yield archive

    def facts(self, index: int) -> dict[str, Any]:
        """Return the seed, all settings, the data type of the computation, and the settings that differ."""
        sampling = self._samplings[index]
        computed = precision(sampling.precision, self.model.device).dtype
        return {
            "seed": self._seed,
            "sampling": plain(sampling),
            "computed_in": str(computed).removeprefix("torch."),
            "other_settings": _others(sampling, self.model.sampling()),
        }


def _others(now: Sampling, own: Sampling) -> list[list[Any]]:
    """Return [key, own value, value now] of the settings that differ and decide what is sampled."""
    after, before = dict(leaves(plain(now))), dict(leaves(plain(own)))
    differ = [key for key in after | before if after.get(key) != before.get(key)]
    return [[key, before.get(key), after.get(key)] for key in differ if key.partition(".")[0] not in FREE]


def _require_classes(name: str, model: Model | GeneratorModel) -> None:
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
