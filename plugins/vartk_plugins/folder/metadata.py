"""Reads `metadata.jsonl` and `metadata.csv`, the tables of Hugging Face's `imagefolder`.

Columns: `file_name`, relative to the table; `label` or `class`; `caption` or `text`, or in JSON `captions`, a
list; `split`, train or validation. All but the first are optional. Other columns, and files that no row
names, are left alone.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from vartk_registry import VartkError, counted
from vartk_registry.images import captions_of, text_of

from .items import SPLITS, Item

_SHOWN = 10


def read_metadata(folder: Path, table: str) -> list[Item]:
    """Return the items of a table in its order.

    Raises:
        VartkError: what is wrong with which lines, the first 10 of them in full.
    """
    items: dict[int, Item] = {}
    problems: list[str] = []
    # utf-8-sig: spreadsheets write a byte order mark
    with (folder / table).open(encoding="utf-8-sig", newline="") as stream:
        try:
            for line, row in _csv_rows(stream) if table.endswith(".csv") else _lines(stream):
                try:
                    items[line] = _item(folder, _parsed(row) if isinstance(row, str) else row)
                except ValueError as error:
                    problems.append(f"line {line}: {error}")
        except (UnicodeDecodeError, csv.Error) as error:
            raise VartkError(f"{folder / table} is not a table in UTF-8: {error}") from error
    unlabelled = [line for line, item in items.items() if item.label is None]
    if len(unlabelled) < len(items):
        problems += [f"line {line}: no label, though others have one" for line in unlabelled]
    if problems:
        shown = "\n  ".join(problems[:_SHOWN])
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise VartkError(f"{folder / table}: {counted(len(problems), 'problem')}\n  {shown}{more}")
    return list(items.values())


def _csv_rows(stream: TextIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(stream)
    if "file_name" not in (reader.fieldnames or ()):
        raise csv.Error(f"line 1 has no column file_name: {', '.join(reader.fieldnames or ())}")
    for row in reader:
        yield reader.line_num, row


def _lines(stream: TextIO) -> Iterator[tuple[int, str]]:
    return ((line, text) for line, text in enumerate(stream, start=1) if text.strip())


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(row, dict):
        raise ValueError('not a JSON object such as {"file_name": "1.jpg", "label": "cat"}')
    return row


def _item(folder: Path, row: Mapping[str, Any]) -> Item:
    name = text_of(row, "file_name")
    if not name:
        raise ValueError(f"no file_name, only {', '.join(map(repr, row)) or 'nothing'}")
    if not (folder / name).is_file():
        raise ValueError(f"file not found: {name}")
    split = text_of(row, "split")
    if split and split not in SPLITS:
        raise ValueError(f"split {split!r} is neither 'train' nor 'validation'")
    caption, others = captions_of(row)
    return Item(
        name,
        label=text_of(row, "label", "class").strip() or None,
        caption=caption,
        split=SPLITS[split] if split else None,
        others=others,
    )
