"""A comparison's pictures: the same images by each way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..engine.blend import line_of

SHOWN = 8
"""Images of each way in a picture, at most."""


def shown_rows(labels: Sequence[Any]) -> list[int]:
    """Return the indices of the images to show: the first of each label, then others, `SHOWN` at most."""
    firsts = {line_of(label): row for row, label in reversed(list(enumerate(labels)))}
    rows = sorted(firsts.values())
    return (rows + [row for row in range(len(labels)) if row not in rows])[:SHOWN]
