"""Combinations of an emoji and a style that can be kept from training, to test texts on."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from .archive import STYLES, records

EVERY = 8
"""Of how many emoji one loses a style."""

FEWEST = 3
"""Emoji in fewer styles lose none."""


def is_unseen(record: Mapping[str, Any]) -> bool:
    """Return whether a picture of the training split is one of those that are kept from training.

    A checksum of the emoji's code points decides, so that the choice does not depend on what else is used.
    """
    return _kept_from_training().get(record["emoji"]) == record["style"]


@cache
def _kept_from_training() -> dict[str, str]:
    """Return the style that each chosen emoji loses."""
    styles: dict[str, set[str]] = {}
    for record in records("train"):
        styles.setdefault(record["emoji"], set()).add(record["style"])
    chosen = {}
    for emoji, present in styles.items():
        digest = zlib.crc32(emoji.encode())
        if len(present) >= FEWEST and digest % EVERY == 0:
            own = [style for style in STYLES if style in present]
            chosen[emoji] = own[digest // EVERY % len(own)]
    return chosen
