"""Finds the image files of a folder, with the classes and splits that its layout gives them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from vartk_registry import VartkError

from .items import LAYOUTS, SPLITS, Item
from .metadata import read_metadata


def find_items(root: Path) -> tuple[list[Item], list[str]]:
    """Return the items of `root` in a fixed order, and a line for each file that has no class.

    Raises:
        VartkError: there is no such folder, or its layout contradicts itself.
    """
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise VartkError(f"dataset folder: {str(root)!r} {what}; {LAYOUTS}")
    found = [name for name in SPLITS if (root / name).is_dir()]
    if not {"train", "validation"} <= {SPLITS[name] for name in found}:
        return _scan(root)
    if len(found) == len(SPLITS):
        raise VartkError(f"dataset folder: {root} has validation/ and val/; remove one of them")
    if table := _metadata_file(root):
        raise VartkError(
            f"dataset folder: {root} has {table} beside {'/ and '.join(found)}/; put one into "
            "each, or move the images out of them and name the splits in a split column"
        )
    items: list[Item] = []
    strays: list[str] = []
    for folder in found:
        inside, outside = _scan(root / folder)
        items += [replace(item, name=f"{folder}/{item.name}", split=SPLITS[folder]) for item in inside]
        strays += [f"{folder}/{line}" for line in outside]
    if len({item.label is None for item in items}) > 1:
        raise VartkError(
            f"dataset folder: of {' and '.join(found)} in {root}, one has classes and the other "
            "none; lay out both in class sub-folders, or neither"
        )
    return items, strays


def _scan(folder: Path) -> tuple[list[Item], list[str]]:
    """Return the items of one folder by its metadata, by its sub-folders, or as they lie."""
    if table := _metadata_file(folder):
        return read_metadata(folder, table), []
    names = _files(folder)
    if not any("/" in name for name in names):
        return [Item(name) for name in names], []
    items = [Item(name, label=name.partition("/")[0]) for name in names if "/" in name]
    strays = [f"{name}: lies beside the class sub-folders" for name in names if "/" not in name]
    return items, strays


def _metadata_file(folder: Path) -> str | None:
    found = [name for name in ("metadata.jsonl", "metadata.csv") if (folder / name).is_file()]
    if len(found) > 1:
        raise VartkError(f"dataset folder: {folder} has {' and '.join(found)}; remove one of them")
    return found[0] if found else None


def _files(folder: Path) -> list[str]:
    """Return the names of all files under `folder` but hidden ones, sorted, "/" between folders."""
    names = []
    for where, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(where).relative_to(folder)
        names += [(inside / name).as_posix() for name in files if not name.startswith(".")]
    return sorted(names)
