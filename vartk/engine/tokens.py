"""Pre-tokenised datasets: the codes of every image, written once, so that training never encodes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import ImageDataset, Schedule

from ..config import AugmentConfig
from .build import grid
from .data import Images
from .files import load_tensors, save_tensors, whole_file, whole_folder
from .folder import fingerprint
from .model import Model

INFO = "tokens.json"
SPLITS = ("train", "validation")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The codes of one split.

    Attributes:
        codes: [M, L, *shape], compact integers; M is images times views, a view after the other.
        labels: [M] int64. captions: M strings.
    """

    codes: torch.Tensor
    labels: torch.Tensor
    captions: list[str]

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
    batch: int = 32,
    progress: Callable[[str, int, int], None] = lambda split, done, total: None,
) -> None:
    """Write the codes of every image of the "train" and "validation" datasets as a new folder.

    Args:
        tokenizer: the model folder that `model` was read from; its fingerprint is kept with the codes.
        views: augmented views of each training image; validation images have one, not augmented.
        progress: called with the split, the views done and their number.

    Raises:
        VartkError: `folder` exists, or cannot be written.
    """
    size = grid(model.config.image_size)
    with whole_folder(folder) as aside:
        for split in SPLITS:
            training = split == "train"
            images = Images(datasets[split], size, augment if training else None, seed)
            turns = views if training else 1
            codes = _encode(model, images, turns, batch, lambda d, t, s=split: progress(s, d, t))
            examples = [images.dataset[i] for i in range(len(images))]
            labels = torch.tensor([example.label for example in examples] * turns)
            save_tensors({"codes": codes, "labels": labels}, aside / f"{split}.safetensors")
            captions = [example.caption for example in examples] * turns
            (aside / f"{split}.captions.json").write_text(json.dumps(captions))
        info = {
            "tokenizer": fingerprint(tokenizer),
            "schedule": [list(g) for g in model.schedule.grids],
            "classes": datasets["train"].classes,
            "views": views,
            "skipped": {split: datasets[split].skipped for split in SPLITS},
        }
        with whole_file(aside / INFO) as file:
            file.write_text(json.dumps(info, indent=1))


def load_tokens(folder: Path, tokenizer: Path, schedule: Schedule) -> dict[str, Tokens]:
    """Read the codes of both splits.

    Raises:
        VartkError: files are missing or damaged, or the codes were made by another tokenizer or for
            another schedule.
    """
    try:
        info = json.loads((folder / INFO).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise VartkError(f"{folder} is not a folder of tokens: {INFO}: {error}") from error
    made = Schedule.of(info["schedule"])
    again = "make them again with `vartk tokenize`"
    if made != schedule:
        raise VartkError(f"the tokens in {folder} are for the schedule {made}, not {schedule}; {again}")
    if info["tokenizer"] != fingerprint(tokenizer):
        raise VartkError(f"the tokens in {folder} were made by another tokenizer; {again}")
    loaded = {}
    for split in SPLITS:
        tensors = load_tensors(folder / f"{split}.safetensors")
        captions = json.loads((folder / f"{split}.captions.json").read_text())
        loaded[split] = Tokens(tensors["codes"], tensors["labels"], captions)
    return loaded


def token_classes(folder: Path) -> list[str]:
    """Return the class names of a folder of tokens."""
    return json.loads((folder / INFO).read_text())["classes"]


@torch.no_grad()
def _encode(
    model: Model, images: Images, turns: int, batch: int, progress: Callable[[int, int], None]
) -> torch.Tensor:
    views = [(turn, index) for turn in range(turns) for index in range(len(images))]
    dtype = _compact(model.tokenizer.space.classes)
    made = []
    for start in range(0, len(views), batch):
        pixels = torch.stack([images[view] for view in views[start : start + batch]])
        codes = torch.cat(model.encode(pixels), dim=1)
        made.append(codes.to(dtype).cpu())
        progress(min(start + batch, len(views)), len(views))
    return torch.cat(made) if made else torch.empty(0, model.schedule.total, dtype=dtype)


def _compact(classes: int) -> torch.dtype:
    """Return the smallest integer type that holds every class."""
    return next(t for t in (torch.uint8, torch.int16, torch.int32) if classes - 1 <= torch.iinfo(t).max)
