"""The dataset `folder`."""

from __future__ import annotations

import os
from pathlib import Path

from vartk_registry import UnknownName, VartkError, counted
from vartk_registry.folders import warn_of_repeats
from vartk_registry.images import DamagedImage, SkipsDamaged, read_rgb, rgb_shape
from vartk_registry.interfaces import Example

from .headers import header_errors
from .items import LAYOUTS
from .kept import listing_of


class Folder(SkipsDamaged):
    """The images of a folder, of any format that Pillow opens.

    Classes are the names of the sub-folders or labels, sorted as text; without any there is one,
    "image". Both splits have the same classes.

    The list of files is kept in vartk's cache folder until the folder changes. At construction only
    files without the ending of an image format are opened, as far as their headers; what is no image
    is left out and named in `skipped`. An image that cannot be read when it is asked for gives way to
    the next one of the split.

    Args:
        path: the folder.
        validation: the share held out; 0 makes the validation split empty.
        split: "train" or "validation".

    Raises:
        VartkError: no such folder, no image, an empty split, or mistakes in its metadata.
    """

    def __init__(self, *, path: str, validation: float, split: str) -> None:
        if split not in ("train", "validation"):
            raise UnknownName("split of folder", split, ("train", "validation"))
        if not path:
            raise VartkError(f"dataset folder needs path, the folder of the images; {LAYOUTS}")
        self._root = Path(os.path.expanduser(path))
        found = listing_of(self._root)
        items = found.items
        warn_of_repeats(f"dataset folder: {self._root}", tuple(found.repeats))
        super().__init__(found.strays)
        self.classes = sorted({item.label for item in items if item.label}) or ["image"]
        self._labels = {name: label for label, name in enumerate(self.classes)}
        mine = [item for item in items if item.split_of(validation) == split]
        errors = header_errors(self._root, [item.name for item in mine])
        self.skipped += [f"{name}: {error}" for name, error in errors.items()]
        self._items = [item for item in mine if item.name not in errors]
        if not self._items and not (split == "validation" and validation == 0):
            raise VartkError(self._why_empty(split, len(items), len(mine), validation))

    def __len__(self) -> int:
        return len(self._items)

    def name(self, index: int) -> str:
        """Return the file's name, relative to the folder."""
        return self._items[index].name

    def read(self, index: int) -> Example:
        """Return an example."""
        item = self._items[index]
        label = self._labels[item.label] if item.label else 0
        return Example(read_rgb(self._root / item.name), label, item.caption, item.others)

    def shape(self, index: int) -> tuple[int, int]:
        """Return the height and width of an image in pixels."""
        try:
            return rgb_shape(self._root / self._items[index].name)
        except (DamagedImage, FileNotFoundError):
            return super().shape(index)

    def _why_empty(self, split: str, found: int, chosen: int, validation: float) -> str:
        if chosen:
            what = f"{counted(chosen, 'file')} of the {split} split, none a readable image"
            return f"dataset folder: {self._root} has {what}:\n  " + "\n  ".join(
                [*self.skipped[:10], LAYOUTS]
            )
        if found:
            return (
                f"dataset folder: none of the {counted(found, 'image')} of {self._root} falls into "
                f"the {split} split at validation={validation:g}; change it, add images, or lay "
                "them out in train/ and validation/"
            )
        return f"dataset folder: {self._root} has no images; {LAYOUTS}"
