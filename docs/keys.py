"""Writes the table of keys in configuration.md from the schema: `python docs/keys.py`."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from pathlib import Path

from vartk.config import Config, Slot
from vartk_registry.params import describe_range, spelled

PAGE = Path(__file__).with_name("configuration.md")
START, STOP = "<!-- keys: written by docs/keys.py -->\n", "<!-- end of keys -->"
Row = tuple[str, str, str]
"""Default, allowed values, help."""


def page() -> str:
    """Return the page with the table that the schema gives."""
    head, _, rest = PAGE.read_text().partition(START)
    return head + START + table() + STOP + rest.partition(STOP)[2]


def table() -> str:
    """Return the table of all keys; those that both stages share stand once, under STAGE."""
    rows = dict(_rows(Config))
    lines = ["| key | default | allowed | what it does |", "|---|---|---|---|"]
    for path, row in rows.items():
        shared = path.replace("train.transformer.", "train.tokenizer.")
        if path != shared and rows.get(shared) == row:
            continue
        if rows.get(path.replace("train.tokenizer.", "train.transformer.")) == row:
            path = path.replace("train.tokenizer.", "train.STAGE.")
        lines.append(f"| `{path}` | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def _rows(schema: type, path: str = "") -> Iterator[tuple[str, Row]]:
    types = typing.get_type_hints(schema)
    made = schema()
    for field in dataclasses.fields(schema):
        here, value, rule = f"{path}{field.name}", getattr(made, field.name), field.metadata
        if isinstance(value, Slot):
            names = " ".join((value.name, *(f"{key}={item}" for key, item in value.params.items())))
            allowed = " or ".join((f"`vartk list {rule['kind']}`", *(f"`{name}`" for name in rule["also"])))
            yield here, (f"`{names}`", allowed, rule["help"])
        elif dataclasses.is_dataclass(value):
            yield from _rows(types[field.name], f"{here}.")
        else:
            choices = rule["choices"]
            allowed = (
                ", ".join(f"`{spelled(choice)}`" for choice in choices) if choices else describe_range(rule)
            )
            yield here, (f"`{spelled(value)}`", allowed, rule["help"])


if __name__ == "__main__":
    PAGE.write_text(page())
