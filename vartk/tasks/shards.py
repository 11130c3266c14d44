"""Many samples, in files of some hundred images that are written as they come."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vartk_registry import VartkError

from .. import __version__
from ..config import GeneratorSampling, SamplingConfig, plain
from ..engine.blend import line_of
from ..engine.distributed import ALONE, World
from ..engine.generators.model import GeneratorModel
from ..engine.model import Model
from ..files import refuse_existing, remove_partial, whole_file
from ..images import to_uint8
from .begun import require_same
from .sample import Bar, sample_batch

SHARD = 200
"""Images of a file, about; a kill loses no more than these."""

BEGUN = "begun.json"


def sample_shards(
    model: Model | GeneratorModel,
    labels: Sequence[int | str],
    seed: int,
    sampling: SamplingConfig | GeneratorSampling,
    folder: Path,
    weights: Mapping[str, str],
    add_bar: Callable[[str, int], Bar],
    world: World = ALONE,
) -> list[Path]:
    """Sample an image a label into npz files in the ADM layout, and return their paths.

    Files that are there are kept: the same call goes on with a folder that another one has left unfinished.
    The seed of each image and the batch that it is sampled in depend on its place alone, so a kill or another
    number of processes changes no image.

    Args:
        labels: classes or captions.
        seed: of the first image; each further image adds 1.
        weights: the fingerprints of the model's (`hub.fingerprints`).
        world: the processes that share the work; every one of them calls this.

    Raises:
        VartkError: the folder holds something else, or samples of other settings.
    """
    begun = {
        "weights": dict(weights),
        "count": len(labels),
        "labels": hashlib.sha256(json.dumps(list(labels)).encode()).hexdigest(),
        "seed": seed,
        "sampling": plain(sampling),
        "versions": {"vartk": __version__, "torch": str(torch.__version__)},
    }
    if world.leads:
        _begin(folder, begun)
    world.wait()
    each = max(1, SHARD // sampling.batch) * sampling.batch
    paths = {start: folder / f"{start:09d}.npz" for start in range(0, len(labels), each)}
    mine = list(paths)[world.rank :: world.size]
    todo = [start for start in mine if not paths[start].is_file()]
    own, left = (sum(len(labels[start : start + each]) for start in starts) for starts in (mine, todo))
    bar, done = add_bar("sample", max(1, own)), own - left
    for start in todo:
        rows, images = labels[start : start + each], []
        for first in range(0, len(rows), sampling.batch):
            batch = rows[first : first + sampling.batch]
            seeds = [seed + start + first + i for i in range(len(batch))]
            made = sample_batch(model, batch, seeds, plain(sampling), bar, done + first)
            images.append(to_uint8(made.images.cpu()).permute(0, 2, 3, 1).numpy())
        with whole_file(paths[start]) as aside, aside.open("wb") as file:
            np.savez(file, np.concatenate(images), np.array([line_of(label) for label in rows]))
        done += len(rows)
    world.wait()  # until the others have written theirs
    return list(paths.values())


def _begin(folder: Path, begun: Mapping[str, Any]) -> None:
    """Start a folder, or check that what it holds was begun with the same settings."""
    path = folder / BEGUN
    if not path.is_file():
        refuse_existing(folder)
        with whole_file(path) as aside:
            aside.write_text(json.dumps(begun, indent=1))
        return
    try:
        before = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise VartkError(f"{path} cannot be read: {error}; remove {folder}, or give another") from error
    require_same(before, json.loads(json.dumps(begun)), folder, "samples")
    remove_partial(folder)
