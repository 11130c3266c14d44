"""Where the samples of a shard lie.

The library `webdataset` reads shards as streams, and its indexed part, `wids`, which copied shards into
a cache, is gone since version 1.0; so the standard library's tarfile reads the headers, once, and
samples are then read where they lie.
"""

from __future__ import annotations

import json
import re
import tarfile
from array import array
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

from vartk_registry import VartkError, counted
from vartk_registry.images import text_of, why_unreadable

_PARTS = {
    "jpg": "image",
    "jpeg": "image",
    "png": "image",
    "webp": "image",
    "cls": "cls",
    "txt": "txt",
    "json": "json",
}
"""What the files of a sample are, by their extensions."""

_KEY = re.compile(r"((?:.*/)?[^./][^.]*)\.([^/]+)", re.DOTALL)
"""WebDataset's rule: a key ends at the first dot of the file's own name."""

_STORED = ("image", "txt", "json")
"""The parts that are read with an example; a .cls is read into the index."""

_UNREADABLE = (OSError, tarfile.TarError, ValueError)


class _Part(NamedTuple):
    """A file of a sample; offset and size in bytes."""

    name: str = ""
    offset: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Shard:
    """The index of a shard, in flat arrays, since there may be millions of samples."""

    path: Path
    names: str
    """The names of the images, with NULs between."""
    places: array[int]
    """Offset and size of the image, .txt and .json of each sample: 6 numbers."""
    labels: array[int]
    """The label of each sample, as its index in `label_names`."""
    label_names: list[str]
    """[""] for a shard without labels."""
    skipped: list[str]

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """Return how a sample is called in messages."""
        return _called(self.path, self.names.split("\0")[index])

    def label(self, index: int) -> str:
        """Return the label of a sample as text, "" where the shard has none."""
        return self.label_names[self.labels[index]]

    def read(self, index: int) -> dict[str, bytes]:
        """Return the "image", "txt" and "json" of a sample, empty where there is none.

        The file is opened for each, so that any number of shards and processes can be read.

        Raises:
            VartkError: the shard cannot be read any more.
        """
        numbers = self.places[6 * index : 6 * index + 6]
        try:
            with self.path.open("rb") as file:
                return {
                    part: _read(file, offset, size)
                    for part, offset, size in zip(_STORED, numbers[::2], numbers[1::2], strict=True)
                }
        except OSError as error:
            raise _unreadable(self.path, error) from error


def index_shard(path: Path) -> Shard:
    """Read the headers and labels of a shard, some 40 µs a file, once a process.

    Files that belong to no sample are left alone; samples that cannot be used are named in `skipped`.

    Raises:
        VartkError: the shard is missing, no uncompressed tar, or cut off.
    """
    try:
        state = path.stat()
        return _index(path, state.st_size, state.st_mtime_ns)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


@cache
def _index(path: Path, size: int, changed: int) -> Shard:
    skipped: list[str] = []
    labels: dict[str, str] = {}
    with path.open("rb") as file:
        samples = _samples(path, file, skipped)
        for key, sample in samples.items():
            try:
                if "image" not in sample:
                    raise ValueError("no .jpg, .jpeg, .png or .webp, or a link to one")
                labels[key] = _label(file, sample)
            except ValueError as error:
                skipped.append(f"{_called(path, key)}: {why_unreadable(error)}")
    if any(labels.values()):
        skipped += [
            f"{_called(path, key)}: no label, though others have one"
            for key, label in labels.items()
            if not label
        ]
        labels = {key: label for key, label in labels.items() if label}
    label_names = sorted(set(labels.values()))
    indices = {label: index for index, label in enumerate(label_names)}
    parts = [samples[key].get(part, _Part()) for key in labels for part in _STORED]
    return Shard(
        path,
        "\0".join(samples[key]["image"].name for key in labels),
        array("Q", (number for part in parts for number in (part.offset, part.size))),
        array("l", (indices[label] for label in labels.values())),
        label_names,
        skipped,
    )


def _samples(path: Path, file: IO[bytes], skipped: list[str]) -> dict[str, dict[str, _Part]]:
    """Return the parts of each sample by its key, in the shard's order."""
    samples: dict[str, dict[str, _Part]] = {}
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while member := tar.next():
            tar.members.clear()  # those of a large shard would fill the memory
            match = _KEY.fullmatch(member.name)
            part = match and _PARTS.get(match[2].lower())
            if not match or not part or member.isdir():
                continue
            sample = samples.setdefault(match[1], {})
            if part in sample:
                skipped.append(f"{_called(path, member.name)}: {sample[part].name} came before it")
            elif member.isreg():
                sample[part] = _Part(member.name, member.offset_data, member.size)
    # tarfile takes a damaged header for the end, which is a block of zeros
    if _read(file, tar.offset, tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise ValueError(f"cut off or damaged at byte {tar.offset}, after {counted(len(samples), 'sample')}")
    return samples


def _label(file: IO[bytes], sample: dict[str, _Part]) -> str:
    """Return a sample's label as text, "" where it has none."""
    if part := sample.get("cls"):
        return _read(file, part.offset, part.size).decode().strip()
    if part := sample.get("json"):
        return text_of(parse_row(_read(file, part.offset, part.size)), "label", "class").strip()
    return ""


def parse_row(content: bytes) -> dict[str, object]:
    """Return the object of a .json file.

    Raises:
        ValueError: it is none.
    """
    row = json.loads(content)
    if not isinstance(row, dict):
        raise ValueError('its .json is not an object such as {"label": "cat"}')
    return row


def _read(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _called(path: Path, name: str) -> str:
    return f"{path.name}: {name}"


def _unreadable(path: Path, error: Exception) -> VartkError:
    advice = (
        "shards are whole, uncompressed .tar files: unpack a .tar.gz with gunzip, and copy or write a "
        "damaged one again"
    )
    reason = error.strerror if isinstance(error, OSError) else f"{error}; {advice}"
    return VartkError(f"dataset webdataset: the shard {path} cannot be read: {reason}")
