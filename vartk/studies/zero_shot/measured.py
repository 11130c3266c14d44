"""The numbers of a task, and their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...tables import Table

COLUMNS = {
    "way": ("way", "{}"),
    "psnr_outside": ("PSNR outside (dB)", "{:.2f}"),
    "psnr_inside": ("PSNR inside (dB)", "{:.2f}"),
    "psnr": ("PSNR (dB)", "{:.2f}"),
    "seam": ("seam", "{:.1f}"),
    "perceptual": ("perceptual distance ({feature})", "{:.4f}"),
    "fd": ("FD-{feature}", "{:.0f}"),
    "new": ("seen as the new group", "{:.1%}"),
    "old": ("seen as the old group", "{:.1%}"),
}
"""The heading and the format of each number."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A task.

    Attributes:
        title: what was done.
        rows: the numbers of each way by their names in `COLUMNS`; None is the PSNR of equal images.
        images: what each way made, [N, 3, H, W] in [0, 1].
    """

    title: str
    rows: Sequence[Mapping[str, Any]]
    images: Mapping[str, torch.Tensor]


def table(title: str, rows: Sequence[Mapping[str, Any]], feature: str) -> Table:
    """Return the table of a task.

    Args:
        feature: its label.
    """
    names = list(rows[0])
    headings = [COLUMNS[name][0].format(feature=feature) for name in names]
    shown = [
        tuple("equal" if row[name] is None else COLUMNS[name][1].format(row[name]) for name in names)
        for row in rows
    ]
    return Table(tuple(headings), shown, title)
