"""What the layouts and the metadata of a folder boil down to: one item an image."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass

SPLITS = {"train": "train", "validation": "validation", "val": "validation"}
"""The splits by the names that folders and metadata may give them."""

LAYOUTS = """expected one of
  FOLDER/cat/1.jpg, FOLDER/dog/2.jpg    class sub-folders
  FOLDER/1.jpg, FOLDER/2.jpg            images without classes
  FOLDER/metadata.jsonl or .csv         file_name, and optionally label, caption (or captions) and split
or FOLDER/train and FOLDER/validation with one of these in each"""


@dataclass(frozen=True, slots=True)
class Item:
    """An image file, not yet opened; `name` is relative to the folder, `split` None if unknown."""

    name: str
    label: str | None = None
    caption: str = ""
    split: str | None = None
    others: tuple[str, ...] = ()

    def split_of(self, validation: float) -> str:
        """Return the split: as given, else by a hash of the name.

        It depends on no other file, so that adding files moves none from one split to the other.
        """
        if self.split is not None:
            return self.split
        # macOS decomposes accented letters, Linux keeps them as typed; both must hash alike
        name = unicodedata.normalize("NFC", self.name).encode("utf-8", "surrogateescape")
        position = int.from_bytes(hashlib.sha256(name).digest()[:8], "big") / 2**64
        return "validation" if position < validation else "train"
