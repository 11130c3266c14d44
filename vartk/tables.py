"""Tables of numbers, which reports hold as Markdown and the terminal prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under headings; the title is empty where a result has one table alone."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells under headings."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
