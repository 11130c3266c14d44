"""Captions of an emoji: its name, its keywords and its style, in several orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STYLE_WORDS = {
    "fluent-3d": "3d",
    "fluent-color": "gradient",
    "fluent-flat": "flat",
    "noto": "cartoon",
    "noto-blob": "blob",
}
"""What the styles are called in captions."""

KEYWORDS = 3
"""Keywords in a caption."""


def captions_of(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return "a red apple, flat style", and the same with keywords: "red apple, fruit, tree, flat style"."""
    name, style = record["name"], f"{STYLE_WORDS[record['style']]} style"
    plain = name if name[:1].isupper() or name.startswith("flag ") else f"{_article(name)} {name}"
    known = set(name.lower().split())
    others = [
        word for word in record["keywords"] if word.lower() != name.lower() and word.lower() not in known
    ]
    return f"{plain}, {style}", ", ".join([name, *others[:KEYWORDS], style])


def _article(name: str) -> str:
    return "an" if name[:1].lower() in "aeiou" else "a"
