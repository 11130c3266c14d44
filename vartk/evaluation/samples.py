"""Samples of a model as a set of finished images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ..config import GeneratorSampling, SamplingConfig
from ..engine.distributed import ALONE, World
from ..engine.generators.model import GeneratorModel
from ..engine.model import Model
from ..tasks.sample import Bar
from ..tasks.shards import sample_shards
from .pictures import Archive


@contextmanager
def sampled(
    model: Model | GeneratorModel,
    labels: Sequence[int | str],
    seed: int,
    sampling: SamplingConfig | GeneratorSampling,
    folder: Path | None,
    weights: Mapping[str, str],
    add_bar: Callable[[str, int], Bar],
    world: World = ALONE,
) -> Iterator[Archive]:
    """Give samples while the block runs; arguments and errors as `sample_shards`.

    Args:
        folder: where they are kept; None for a temporary folder, which is removed.
    """
    with TemporaryDirectory() as temporary:
        place = folder or Path(world.told(temporary))
        yield Archive(sample_shards(model, labels, seed, sampling, place, weights, add_bar, world))
        world.wait()  # until nobody reads them
