"""Reads image files as RGB, and says why a file cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

_THREADS = 8
_UPPER_BYTE = [value >> 8 for value in range(1 << 16)]


def read_rgb(path: Path) -> Image.Image:
    """Return an image upright by its EXIF orientation, in RGB, with transparent parts on white.

    16-bit grey keeps its upper byte, where Pillow's own conversion would clip it to white.
    """
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I"):
            image = image.convert("I").point(_UPPER_BYTE, "L")
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        return image.convert("RGB")


def header_errors(paths: Sequence[Path]) -> list[str]:
    """Return why each file is no image by its header, "" where it is one.

    Threads hide the latency of network disks.
    """
    # Pillow's lazy loading of its formats is not thread-safe
    Image.init()
    with ThreadPool(_THREADS) as pool:
        return list(pool.imap(_header_error, paths, chunksize=64))


def why_unreadable(error: Exception) -> str:
    """Return a reader's error in one line."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or of a format that Pillow cannot read"
    return " ".join(str(error).split()) or type(error).__name__


def _header_error(path: Path) -> str:
    try:
        with Image.open(path):
            return ""
    except Exception as error:  # on broken files Pillow's readers raise errors of any type
        return why_unreadable(error)
