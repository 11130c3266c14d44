"""Finds the files that are no images, without opening those whose names say what they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

from PIL import Image

from vartk_registry.images import DamagedImage, opened, why_unreadable

_THREADS = 8


def header_errors(root: Path, names: Sequence[str]) -> dict[str, str]:
    """Return why files are no images by their headers; a file with an image's ending is not opened.

    Threads hide the latency of network disks.

    Args:
        names: relative to `root`.
    """
    # Pillow's lazy loading of its formats is not thread-safe
    Image.init()
    endings = {ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    doubtful = [name for name in names if os.path.splitext(name)[1].lower() not in endings]
    with ThreadPool(_THREADS) as pool:
        errors = pool.imap(_header_error, (root / name for name in doubtful), chunksize=64)
        return {name: error for name, error in zip(doubtful, errors, strict=True) if error}


def _header_error(path: Path) -> str:
    try:
        with opened(path):
            return ""
    except (DamagedImage, FileNotFoundError) as error:
        return why_unreadable(error)
