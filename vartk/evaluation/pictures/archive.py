"""npz files in the layout of the ADM evaluation suite: `arr_0` [N, H, W, 3] in 8 bits, `arr_1` the labels."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import torch

from vartk_registry import VartkError

IMAGES, LABELS = "arr_0", "arr_1"


class Archive:
    """The images of one or several npz files; see `Pictures`.

    Files may be larger than the memory: they are read batch by batch.

    Raises:
        VartkError: a file is damaged, or has no `arr_0` of 8-bit RGB images.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._counts = []
        self.labels: list[int | str] = []
        self.remarks: list[str] = []
        sizes = set()
        for path in self._paths:
            with _images(path) as (_, (count, *size, _)):
                self._counts.append(count)
                sizes.add(tuple(size))
            self.labels += _labels(path, count)
        if len(self.labels) != len(self):
            self.labels = []
        if len(sizes) > 1:
            self.remarks.append(f"The files hold images of {len(sizes)} sizes.")

    def __len__(self) -> int:
        return sum(self._counts)

    def batches(self, size: int) -> Iterator[torch.Tensor]:
        """Yield all images as [B, 3, H, W] in 8 bits, at most `size` at once."""
        for path in self._paths:
            yield from _batches(path, size)

    def picked(self, rows: Sequence[int]) -> torch.Tensor:
        """Return some images [N, 3, H, W] in 8 bits, in the order of their indices in `rows`."""
        found, first = {}, 0
        for path, count in zip(self._paths, self._counts, strict=True):
            if wanted := [row for row in rows if first <= row < first + count]:
                (images,) = _batches(path, count)
                found |= {row: images[row - first] for row in wanted}
            first += count
        return torch.stack([found[row] for row in rows])


def arrays(path: Path) -> list[str]:
    """Return the names of the arrays of an npz file; errors as `readable`."""
    with readable(path), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while an npz file is read into a `VartkError`."""
    try:
        yield
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError) as error:
        raise VartkError(f"{path} is damaged or is no npz file: {error}") from error


def _batches(path: Path, size: int) -> Iterator[torch.Tensor]:
    """Yield the images of a file as [B, 3, H, W], at most `size` at once."""
    with _images(path) as (file, (count, *shape)):
        for start in range(0, count, size):
            rows = min(size, count - start)
            wanted = rows * int(np.prod(shape))
            content = file.read(wanted)
            if len(content) < wanted:
                raise VartkError(f"{path} is cut off after {start} of {count} images")
            pixels = np.frombuffer(bytearray(content), np.uint8).reshape(rows, *shape)
            yield torch.from_numpy(pixels).permute(0, 3, 1, 2)


@contextmanager
def _images(path: Path) -> Iterator[tuple[IO[bytes], tuple[int, ...]]]:
    """Give the pixels of a file, from the first on, and their shape [N, H, W, 3]."""
    if IMAGES not in (names := arrays(path)):
        raise VartkError(
            f"{path} has no images: an npz file in the ADM layout has {IMAGES}, this one has "
            f"{', '.join(names) or 'nothing'}"
        )
    read = np.lib.format
    headers = {(1, 0): read.read_array_header_1_0, (2, 0): read.read_array_header_2_0}
    with readable(path), zipfile.ZipFile(path) as archive, archive.open(f"{IMAGES}.npy") as file:
        shape, fortran, dtype = headers[read.read_magic(file)](file)
        if dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3 or fortran:
            raise VartkError(
                f"{IMAGES} of {path} is {dtype} {list(shape)}; the ADM layout is uint8 [N, H, W, 3], with "
                "images that were rounded to 8 bits"
            )
        yield file, shape


def _labels(path: Path, count: int) -> list[int | str]:
    """Return the classes of a file's images; none where it does not say."""
    if LABELS not in arrays(path):
        return []
    with readable(path), np.load(path) as archive:
        labels = archive[LABELS]
    return labels.tolist() if labels.shape == (count,) else []
