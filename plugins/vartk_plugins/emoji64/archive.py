"""The embedded images: a zip in the Hugging Face `imagefolder` layout.

`metadata.jsonl` has one line an image: file_name, split, group, subgroup, style, emoji (its code
points), name, keywords and caption. The images are lossless WebP, stored as they are. Their
licences, MIT and Apache-2.0, lie beside the zip and travel with every copy.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import ZipFile

DATA = Path(__file__).parent / "data"
"""The folder of the zip and its licences."""

GROUPS = (
    "smileys",
    "people",
    "animals",
    "food",
    "travel",
    "activities",
    "objects",
    "symbols",
    "flags",
)
STYLES = ("fluent-3d", "fluent-color", "fluent-flat", "noto", "noto-blob")


def records(split: str) -> list[dict[str, Any]]:
    """Return the metadata of a split's images, in the order of the zip."""
    lines = _archive(os.getpid()).read("metadata.jsonl").splitlines()
    return [record for record in map(json.loads, lines) if record["split"] == split]


def image_bytes(file_name: str) -> bytes:
    """Return an image as it is stored."""
    return _archive(os.getpid()).read(file_name)


@cache
def _archive(process: int) -> ZipFile:
    """Open the zip once a process: a file position that a fork shares garbles what is read."""
    return ZipFile(DATA / "emoji64.zip")
