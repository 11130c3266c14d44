"""What datasets of image files have in common: reading them, and going on past damaged ones."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import VartkError
from .interfaces import Example

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

_UPPER_BYTE = [value >> 8 for value in range(1 << 16)]


class DamagedImage(Exception):
    """An image cannot be read; the message says why in one line."""


@contextmanager
def opened(source: Path | IO[bytes]) -> Iterator[Image]:
    """Give an image of which Pillow has read the header.

    Raises:
        DamagedImage: it is no image, or the block finds it damaged.
        FileNotFoundError: there is none.
    """
    from PIL import Image

    try:
        with Image.open(source) as file:
            yield file
    except FileNotFoundError:
        raise
    except Exception as error:  # on broken files Pillow's readers raise errors of any type
        raise DamagedImage(why_unreadable(error)) from error


def read_rgb(source: Path | IO[bytes]) -> Image:
    """Return an image upright by its EXIF orientation, in RGB, with transparent parts on white.

    16-bit grey keeps its upper byte, where Pillow's own conversion would clip it to white.

    Errors as `opened`.
    """
    from PIL import Image, ImageOps

    with opened(source) as file:
        image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I"):
            image = image.convert("I").point(_UPPER_BYTE, "L")
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        return image.convert("RGB")


def rgb_shape(source: Path | IO[bytes]) -> tuple[int, int]:
    """Return the height and width of what `read_rgb` returns, from the image's header; errors as there."""
    from PIL import ExifTags

    with opened(source) as file:
        turned = file.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        width, height = file.size
        return (width, height) if turned else (height, width)


def why_unreadable(error: Exception) -> str:
    """Return a reader's error in one line."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "not an image, or of a format that Pillow cannot read"
    return " ".join(str(error).split()) or type(error).__name__


def text_of(row: Mapping[str, Any], *columns: str) -> str:
    """Return the first of `columns` that a row of metadata has, "" where it has none.

    Raises:
        ValueError: its value is neither text nor a number.
    """
    for column in columns:
        value = row.get(column)
        if isinstance(value, str | int | float):
            return str(value)
        if value is not None:
            raise ValueError(f"{column} must be text or a number, not {value!r}")
    return ""


def captions_of(row: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return the caption of a row of metadata, and its other captions: `captions`, or `caption` or `text`.

    Raises:
        ValueError: they are no text, or no list of texts.
    """
    given = row.get("captions")
    if given is None or isinstance(given, str):
        return text_of(row, "captions", "caption", "text").strip(), ()
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ValueError(f"captions must be a list of texts, not {given!r}")
    first, *others = [each.strip() for each in given if each.strip()] or [""]
    return first, tuple(others)


class SkipsDamaged(ABC):
    """A dataset in which the next readable image of the split takes the place of a damaged one.

    So one bad file does not end a long training run. It is logged, and named in `skipped` (of the
    process that reads it), when it is first met.

    Args:
        skipped: what was found unreadable before, one line each.
    """

    def __init__(self, skipped: list[str]) -> None:
        self.skipped = skipped
        self._damaged: set[int] = set()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def name(self, index: int) -> str:
        """Return how the image is called in `skipped`."""

    @abstractmethod
    def read(self, index: int) -> Example:
        """Return an example; a `VartkError` ends the run, any other says that the image is damaged."""

    def shape(self, index: int) -> tuple[int, int]:
        """Return the height and width of an image in pixels; of a damaged one, those of its stand-in."""
        image = self[index].image
        return image.height, image.width

    def __getitem__(self, index: int) -> Example:
        first = range(len(self))[index]
        for position in chain(range(first, len(self)), range(first)):
            if position in self._damaged:
                continue
            try:
                return self.read(position)
            except VartkError:
                raise
            except Exception as error:
                self._damaged.add(position)
                self.skipped.append(f"{self.name(position)}: {why_unreadable(error)}")
                log.warning("skipped %s", self.skipped[-1])
        raise VartkError(f"every image of the dataset is damaged, such as {self.skipped[-1]}")
