"""Names by templates, in which {} stands for an index, or for `weight` or `bias`."""

from __future__ import annotations

import re
from collections.abc import Iterable


def first(name: str, rules: Iterable[tuple[str, str]]) -> str | None:
    """Return a name in the words of the first rule that knows it; None if there is no such rule."""
    found = (translated(name, source, target) for source, target in rules)
    return next((each for each in found if each is not None), None)


def translated(name: str, source: str, target: str) -> str | None:
    """Return `name`, which reads like the template `source`, in the words of `target`."""
    pattern = re.escape(source).replace(r"\{\}", r"(\d+|weight|bias)")
    match = re.fullmatch(pattern, name)
    return target.format(*match.groups()) if match else None
