"""Finds the image files of a folder, with the classes and splits that its layout gives them."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from pathlib import Path

from vartk_registry import VartkError
from vartk_registry.folders import State, list_files, state_of

from .items import LAYOUTS, SPLITS, Item
from .metadata import read_metadata


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds; all names are relative to it.

    Attributes:
        items: the images, in a fixed order, none of them opened.
        strays: a line for each file that has no class, and each link to nothing.
        repeats: links to what is listed already.
        states: while these are the same, so is everything else here.
    """

    items: list[Item]
    strays: list[str]
    repeats: list[str]
    states: dict[str, State]


def find_items(root: Path) -> Listing:
    """Return the listing of a folder.

    Raises:
        VartkError: there is no such folder, it cannot be read, or its layout contradicts itself.
    """
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise VartkError(f"dataset folder: {str(root)!r} {what}; {LAYOUTS}")
    states = {"": state_of(root)}
    parts = _split_folders(root)
    tables = {part: _metadata_file(root / part) for part in parts or [""]}
    found = list_files(root, [part for part, table in tables.items() if not table])
    items: list[Item] = []
    strays = [f"{link}: a link to nothing" for link in found.broken]
    for part, table in tables.items():
        before = f"{part}/" if part else ""
        if table:
            states[before + table] = state_of(root / part / table)
            inside, outside = read_metadata(root / part, table), []
            folders = {before + posixpath.dirname(item.name) for item in inside}  # of files that must exist
            states |= {folder: state_of(root / folder) for folder in folders}
        else:
            names = [name.removeprefix(before) for name in found.names if name.startswith(before)]
            inside, outside = _by_sub_folders(names)
        items += [replace(i, name=before + i.name, split=SPLITS[part]) for i in inside] if part else inside
        strays += [before + line for line in outside]
    if parts and len({item.label is None for item in items}) > 1:
        raise VartkError(
            f"dataset folder: of {' and '.join(parts)} in {root}, one has classes and the other "
            "none; lay out both in class sub-folders, or neither"
        )
    return Listing(items, strays, found.repeats, states | found.states)


def _split_folders(root: Path) -> list[str]:
    """Return the folders that hold the splits, none where the folder is not divided so."""
    found = [name for name in SPLITS if (root / name).is_dir()]
    if not {"train", "validation"} <= {SPLITS[name] for name in found}:
        return []
    if len(found) == len(SPLITS):
        raise VartkError(f"dataset folder: {root} has validation/ and val/; remove one of them")
    if table := _metadata_file(root):
        raise VartkError(
            f"dataset folder: {root} has {table} beside {'/ and '.join(found)}/; put one into "
            "each, or move the images out of them and name the splits in a split column"
        )
    return found


def _by_sub_folders(names: list[str]) -> tuple[list[Item], list[str]]:
    """Return the items of files by their sub-folders, or as they lie, and a line for each without a class."""
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
