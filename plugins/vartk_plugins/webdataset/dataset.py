"""The dataset `webdataset`."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from pathlib import Path

from vartk_registry import UnknownName, VartkError, counted
from vartk_registry.images import DamagedImage, SkipsDamaged, captions_of, read_rgb, rgb_shape
from vartk_registry.interfaces import Example

from .classes import class_indices, class_names, read_class_names
from .index import Shard, index_shard, parse_row
from .patterns import find_shards


class WebDataset(SkipsDamaged):
    """Images in tar shards of the WebDataset layout, in the order of the shards and of the files in them.

    A sample is the files `KEY.jpg` (or .jpeg, .png, .webp); `KEY.cls`, the index or the name of its
    class; `KEY.txt`, its caption; `KEY.json`, an object with `label` or `class`, and `caption` or `text`, or
    a list `captions`, which count where there is no .cls or .txt. Without any labels there is one class,
    "image".

    Shards are uncompressed files of this machine. Their headers are read at construction; without
    `classes` those of both splits, which then have the same ones.

    Args:
        train, validation: the shards of each split; without `validation` that split is empty.
        classes: the names of the classes, or a text file of them; by default the indices from 0 to the
            highest or, where some label is no index, all labels, sorted as text.
        split: "train" or "validation".

    Raises:
        VartkError: a shard is missing, unreadable or named twice; a split's shards hold no sample; a label
            is missing or no class.
    """

    def __init__(
        self, *, train: str | list[str], validation: str | list[str], classes: str | list[str], split: str
    ) -> None:
        if split not in ("train", "validation"):
            raise UnknownName("split of webdataset", split, ("train", "validation"))
        paths = {"train": find_shards(_listed(train)), "validation": find_shards(_listed(validation))}
        if not paths["train"]:
            raise VartkError(
                "dataset webdataset needs train, the training shards, such as 'shards/train-{0000..0099}.tar'"
            )
        _refuse_repeats(paths)
        self._shards = [index_shard(path) for path in paths[split]]
        super().__init__([line for shard in self._shards for line in shard.skipped])
        self._ends = list(accumulate(len(shard) for shard in self._shards))
        if paths[split] and not len(self):
            lines = [
                f"no sample in the {split} shards, {counted(len(self._shards), 'file')}",
                *self.skipped[:10],
                "a sample is KEY.jpg, .jpeg, .png or .webp, and KEY ends at the first dot: img.0001.jpg has "
                "the ending .0001.jpg; rename such files",
            ]
            raise VartkError("dataset webdataset: " + "\n  ".join(lines))
        every = self._shards if classes else [index_shard(path) for path in chain(*paths.values())]
        labels = {label: shard.path for shard in every for label in shard.label_names}
        if classes or any(labels):
            self.classes = read_class_names(classes) if classes else class_names(labels)
            self._indices = class_indices(labels, self.classes)
        else:
            self.classes, self._indices = ["image"], {"": 0}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def name(self, index: int) -> str:
        """Return the shard's and the image's name."""
        shard, place = self._find(index)
        return shard.name(place)

    def read(self, index: int) -> Example:
        """Return an example; `VartkError` if the shard cannot be read any more."""
        shard, place = self._find(index)
        files = shard.read(place)
        if files["txt"] or not files["json"]:
            caption, others = files["txt"].decode().strip(), ()
        else:
            caption, others = captions_of(parse_row(files["json"]))
        label = self._indices[shard.label(place)]
        return Example(read_rgb(io.BytesIO(files["image"])), label, caption, others)

    def shape(self, index: int) -> tuple[int, int]:
        """Return the height and width of an image in pixels."""
        shard, place = self._find(index)
        try:
            return rgb_shape(io.BytesIO(shard.read(place)["image"]))
        except (DamagedImage, OSError):
            return super().shape(index)

    def _find(self, index: int) -> tuple[Shard, int]:
        """Return the shard of a sample, and its place there."""
        number = bisect_right(self._ends, index)
        shard = self._shards[number]
        return shard, index - (self._ends[number] - len(shard))


def _refuse_repeats(paths: Mapping[str, Sequence[Path]]) -> None:
    """Raise `VartkError` where a shard is named twice, by whatever name."""
    found: dict[Path, tuple[str, Path]] = {}
    for split, shards in paths.items():
        for path in shards:
            file = Path(os.path.realpath(path))
            if file in found:
                before, name = found[file]
                what = f"{path} is" if name == path else f"{path} is {name}, and so"
                if before != split:
                    what += f" in {before} and in {split}; take it out of one"
                else:
                    what += f" twice in {split}; name it once"
                raise VartkError(f"dataset webdataset: {what}")
            found[file] = split, path


def _listed(patterns: str | list[str]) -> list[str]:
    """Return one pattern, or none, as a list."""
    return [patterns] * bool(patterns) if isinstance(patterns, str) else patterns
