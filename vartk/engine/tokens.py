"""Pre-tokenised datasets: the codes of every image, written once, so that training never encodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import EncodingConditioner, ImageDataset, Schedule

from ..config import AugmentConfig
from ..files import load_tensors, save_tensors, whole_folder
from .buckets import BucketedImages, grouped
from .build import trained_sizes
from .data import View
from .distributed import ALONE, World
from .features import read_features, write_features
from .folder import fingerprint
from .joint import encoding_of
from .model import Model
from .sizes import bucket_schedules

INFO = "tokens.json"
SPLITS = ("train", "validation")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The codes of one split.

    Attributes:
        codes: [M, L, *shape], compact integers; M is images times views, a view after the other. L is that
            of the longest schedule; the codes of a shorter one stand at the beginning.
        labels: [M] int64. captions: M strings.
        others: M sequences of more captions; empty if no image has any.
        buckets: [M] int64, which of the schedules each is for; None for a single one.
    """

    codes: torch.Tensor
    labels: torch.Tensor
    captions: list[str]
    others: list[list[str]] = field(default_factory=list)
    buckets: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.codes)


def tokenize(
    tokenizer: Path,
    model: Model,
    datasets: dict[str, ImageDataset],
    folder: Path,
    *,
    augment: AugmentConfig,
    views: int,
    seed: int,
    data: Mapping[str, Any],
    batch: int = 32,
    conditioner: EncodingConditioner | None = None,
    progress: Callable[[str, int, int], None] = lambda split, done, total: None,
    world: World = ALONE,
) -> None:
    """Write the codes of every image of the "train" and "validation" datasets as a new folder.

    Args:
        tokenizer: the model folder that `model` was read from; its fingerprint is kept with the codes.
        views: augmented views of each training image; validation images have one, not augmented.
        data: which share of the training images these are, the configuration's `data`; kept with the codes.
        conditioner: whose features of the captions are kept with the codes.
        progress: called with the split, the views done and their number; at last with "captions".
        world: the processes that share the work; every one of them calls this, and the first one writes.

    Raises:
        VartkError: `folder` exists, or cannot be written.
    """
    sizes = trained_sizes(model.config)
    schedules = bucket_schedules(model.config, model.tokenizer, model.schedule, model.plugins.registry)
    texts: list[str] = []
    with whole_folder(folder) if world.leads else nullcontext() as aside:
        for split in SPLITS:
            training = split == "train"
            images = BucketedImages(datasets[split], sizes, augment if training else None, seed)
            turns = views if training else 1
            made = _encode(model, schedules, images, turns, batch, partial(progress, split), world)
            if aside is not None:
                tensors = {"codes": made.codes, "labels": made.labels}
                if made.buckets is not None:
                    tensors["buckets"] = made.buckets
                save_tensors(tensors, aside / f"{split}.safetensors")
                (aside / f"{split}.captions.json").write_text(json.dumps(_joined(made)))
                texts += [*made.captions, *chain(*made.others)]
        if aside is not None:
            info = {
                "tokenizer": fingerprint(tokenizer),
                "schedule": [list(g) for g in model.schedule.grids],
                "buckets": [[list(g) for g in schedule.grids] for schedule in schedules[1:]],
                "classes": datasets["train"].classes,
                "views": views,
                "data": dict(data),
                "skipped": {split: datasets[split].skipped for split in SPLITS},
            }
            if conditioner is not None:
                info["encoder"] = write_features(aside, conditioner, texts, model.device, progress)
            (aside / INFO).write_text(json.dumps(info, indent=1))
    world.wait()  # until the folder is there


def load_tokens(
    folder: Path,
    tokenizer: Path,
    schedule: Schedule,
    conditioner: Any = None,
    buckets: Sequence[Schedule] = (),
) -> dict[str, Tokens]:
    """Read the codes of both splits; a conditioner with an encoder remembers the features of their captions.

    Args:
        buckets: the schedules of further buckets.

    Raises:
        VartkError: files are missing or damaged; the codes were made by another tokenizer or for another
            schedule, or the features by another encoder.
    """
    info = _read_json(folder / INFO)
    again = "make them again with `vartk tokenize`"
    made = [Schedule.of(grids) for grids in (info["schedule"], *info.get("buckets", []))]
    wanted = [one.scales for one in (schedule, *buckets)]
    if [one.grids for one in made] != [one.grids for one in wanted]:
        theirs, ours = ("; ".join(map(str, schedules)) for schedules in (made, wanted))
        raise VartkError(f"the tokens in {folder} are for the schedule {theirs}, not {ours}; {again}")
    if info["tokenizer"] != fingerprint(tokenizer):
        raise VartkError(f"the tokens in {folder} were made by another tokenizer; {again}")
    loaded = {}
    for split in SPLITS:
        tensors = load_tensors(folder / f"{split}.safetensors")
        captions = _read_json(folder / f"{split}.captions.json")
        loaded[split] = Tokens(
            tensors["codes"], tensors["labels"], *_parted(captions), tensors.get("buckets")
        )
    if "encoder" in info and (encoding := encoding_of(conditioner)) is not None:
        read_features(folder, info["encoder"], encoding)
    return loaded


def require_share(folder: Path, data: Mapping[str, Any]) -> None:
    """Raise `VartkError` where a folder of tokens has another share of the training images.

    Args:
        data: the configuration's `data`.
    """
    kept = _read_json(folder / INFO).get("data", {"share": 1.0})
    if kept["share"] == data["share"] == 1:  # all images, whatever the seed
        return
    if kept != data:
        words = [" ".join(f"data.{key}={value:g}" for key, value in of.items()) for of in (kept, data)]
        raise VartkError(
            f"the tokens in {folder} are those of {words[0]}, and the training is to have {words[1]}; type "
            f"{words[0]}, or make other tokens with `vartk tokenize`"
        )


def token_classes(folder: Path) -> list[str]:
    """Return the class names of a folder of tokens; errors as `load_tokens`."""
    return _read_json(folder / INFO)["classes"]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise VartkError(f"{path.parent} is not a folder of tokens: {path.name}: {error}") from error


def _encode(
    model: Model,
    schedules: Sequence[Schedule],
    images: BucketedImages,
    turns: int,
    batch: int,
    progress: Callable[[int, int], None],
    world: World,
) -> Tokens:
    """Return the tokens of all views, in the leading process; the others return none.

    The processes take the batches in turns, so that each has the images that one process would give it.
    """
    views = [(turn, index) for turn in range(turns) for index in range(len(images))]
    dtype = _compact(model.tokenizer.space.classes)
    count = len(views) if world.leads else 0
    longest = max(schedule.total for schedule in schedules)
    codes = torch.zeros(count, longest, *model.tokenizer.space.shape, dtype=dtype)
    examples = []
    for start in range(0, len(views), batch * world.size):
        first = start + batch * world.rank
        made, labelled = _encode_batch(model, schedules, images, views[first : first + batch])
        shares = world.collected((made.to(dtype), labelled))
        if not shares:
            continue
        stop = min(start + batch * world.size, len(views))
        codes[start:stop] = torch.cat([share for share, _ in shares])
        examples += [example for _, share in shares for example in share]
        progress(stop, len(views))
    labels = torch.tensor([label for label, *_ in examples], dtype=torch.int64)
    others = [list(more) for _, _, more in examples]
    buckets = torch.tensor([images.buckets[index] for _, index in views]) if len(schedules) > 1 else None
    captions = [caption for _, caption, _ in examples]
    return Tokens(codes, labels, captions, others if any(others) else [], buckets)


@torch.no_grad()
def _encode_batch(
    model: Model, schedules: Sequence[Schedule], images: BucketedImages, views: Sequence[View]
) -> tuple[torch.Tensor, list[tuple[int, str, tuple[str, ...]]]]:
    """Return codes [B, L, *shape] on the CPU, L of the longest schedule, and labels with all captions."""
    read = [images.dataset[index] for _, index in views]
    pixels = [images.prepared(*seen) for seen in zip(read, views, strict=True)]
    longest = max(schedule.total for schedule in schedules)
    codes = torch.zeros(len(views), longest, *model.tokenizer.space.shape, dtype=torch.int64)
    groups = grouped([images.buckets[index] for _, index in views], len(schedules))
    for schedule, rows in zip(schedules, groups, strict=True):
        if rows:  # the last batches may not be enough for all processes
            stacked = torch.stack([pixels[row] for row in rows]).to(model.device)
            made = torch.cat(model.tokenizer.encode(stacked, schedule.scales), dim=1)
            codes[rows, : schedule.total] = made.cpu()
    return codes, [(example.label, example.caption, example.others) for example in read]


def _joined(made: Tokens) -> list[Any]:
    """Return captions as a file has them: a string an image, or a list of strings where there are more."""
    if not made.others:
        return made.captions
    return [[one, *more] if more else one for one, more in zip(made.captions, made.others, strict=True)]


def _parted(captions: list[Any]) -> tuple[list[str], list[list[str]]]:
    """Undo `_joined`."""
    lists = [entry if isinstance(entry, list) else [entry] for entry in captions]
    others = [more for _, *more in lists]
    return [one for one, *_ in lists], others if any(others) else []


def _compact(classes: int) -> torch.dtype:
    """Return the smallest integer type that holds every class."""
    return next(t for t in (torch.uint8, torch.int16, torch.int32) if classes - 1 <= torch.iinfo(t).max)
