"""Keeps the listing of a folder in vartk's cache folder, as long as the folder does not change."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from vartk_registry.folders import state_of
from vartk_registry.places import cache_folder

from .items import Item
from .layout import Listing, find_items

_FORMAT = 2
"""Of the file; another one is not read."""

_SETTLED = 2_000_000_000
"""Nanoseconds. Two changes within a tick of a disk's clock, up to 2 s, look like one."""


def listing_of(root: Path) -> Listing:
    """Return the listing of a folder: the one that was kept, if nothing has changed since, or a new one.

    Images are not opened, so that one whose content changes does not change the listing.

    Raises:
        VartkError: as `find_items`.
    """
    file = _place(root)
    kept = _read(file)
    if kept and all(state_of(root / name) == state for name, state in kept.states.items()):
        return kept
    began = time.time_ns()
    made = find_items(root)
    if all(state is None or state[2] < began - _SETTLED for state in made.states.values()):
        with suppress(OSError):  # where it cannot be kept, it is made again
            _write(file, made)
    return made


def _place(root: Path) -> Path:
    name = os.fsencode(os.path.realpath(root))
    return cache_folder() / "listings" / f"{hashlib.sha256(name).hexdigest()[:32]}.json"


def _read(file: Path) -> Listing | None:
    """Return what was kept; None where there is nothing, or a torn file."""
    try:
        content = json.loads(file.read_bytes())
        if content["format"] != _FORMAT:
            return None
        items = [Item(*values, others=tuple(others)) for *values, others in content["items"]]
        return Listing(items, content["strays"], content["repeats"], content["states"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _write(file: Path, listing: Listing) -> None:
    """Write a listing, whole or not at all, whoever else writes the same."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "format": _FORMAT,
        "items": [(item.name, item.label, item.caption, item.split, item.others) for item in listing.items],
        "strays": listing.strays,
        "repeats": listing.repeats,
        "states": listing.states,
    }
    descriptor, aside = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".partial")
    try:
        with os.fdopen(descriptor, "w") as stream:
            json.dump(content, stream)
        os.replace(aside, file)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(aside)
