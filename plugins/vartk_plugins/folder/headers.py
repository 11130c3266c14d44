"""Finds the files that are no images, by their headers."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

from PIL import Image

from vartk_registry.images import why_unreadable

_THREADS = 8


def header_errors(paths: Sequence[Path]) -> list[str]:
    """Return why each file is no image by its header, "" where it is one.

    Threads hide the latency of network disks.
    """
    # Pillow's lazy loading of its formats is not thread-safe
    Image.init()
    with ThreadPool(_THREADS) as pool:
        return list(pool.imap(_header_error, paths, chunksize=64))


def _header_error(path: Path) -> str:
    try:
        with Image.open(path):
            return ""
    except Exception as error:  # on broken files Pillow's readers raise errors of any type
        return why_unreadable(error)
