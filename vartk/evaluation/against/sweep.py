"""The numbers of several sets of samples, whose settings were varied: a table and a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ...bench.chart import Axes, around
from ...bench.svg import COLOURS, document, text
from ...files import whole_folder
from ...tables import Table, markdown_table
from ..report import set_name
from .report import report

WIDTH, HEIGHT = 620, 320
"""Of one chart."""

Result = Mapping[str, Any]


def write_sweep(results: Sequence[Result], folder: Path) -> None:
    """Write `evaluation.json`, `sweep.svg` and `report.md` as a new folder."""
    shown = sweep_table(results)
    page = [
        f"# {shown.title}\n",
        markdown_table(shown.headings, shown.rows),
        "![the numbers](sweep.svg)\n",
        *(report(result).replace("# ", "## ") for result in results),
    ]
    with whole_folder(folder) as aside:
        (aside / "evaluation.json").write_text(json.dumps(results, indent=1))
        (aside / "sweep.svg").write_text(sweep_plot(results))
        (aside / "report.md").write_text("\n".join(page))


def sweep_table(results: Sequence[Result]) -> Table:
    """Return a row for each set: what was varied, and its numbers."""
    first = results[0]
    names = [set_name(name, first["feature"], first["published"]) for name in first["numbers"]]
    rows = [
        (
            *(str(value) for value in result["varied"].values()),
            *(f"{value:.5g}" for value in result["numbers"].values()),
        )
        for result in results
    ]
    return Table((*first["varied"], *names), rows, f"{first['images']} from {first['reference']}")


def sweep_plot(results: Sequence[Result]) -> str:
    """Return an SVG: FD against IS if both are there, else each number against the setting varied last.

    Sets that differ only in the last setting are on one line, and their points are named by it.
    """
    first = results[0]
    *_, last = first["varied"]
    numbers = first["numbers"]
    charts = [("is", "fd")] if {"fd", "is"} <= numbers.keys() else [("", name) for name in numbers]
    parts: list[str] = []
    for index, (across, up) in enumerate(charts):
        places = [
            (_across(results, position, across, last), r["numbers"][up]) for position, r in enumerate(results)
        ]
        axes = Axes(
            left=76,
            right=WIDTH - 150,
            top=index * HEIGHT + 44,
            bottom=(index + 1) * HEIGHT - 52,
            x_range=around([x for x, _ in places]),
            y_range=around([y for _, y in places]),
        )
        named = {name: set_name(name, first["feature"], first["published"]) for name in (across, up) if name}
        parts += axes.drawn(named.get(across, last), named[up])
        for turn, (others, group) in enumerate(groupby(zip(results, places, strict=True), _others)):
            line = list(group)
            colour = COLOURS[turn % len(COLOURS)]
            parts += axes.line([place for _, place in line], colour)
            for result, place in line:
                x, y = axes.place(*place)
                parts.append(text(x + 6, y - 6, str(result["varied"][last]), colour=colour, size=10))
            parts.append(text(WIDTH - 140, axes.top + 14 * turn, others or last, colour=colour, size=11))
    return document(parts, WIDTH, len(charts) * HEIGHT)


def _across(results: Sequence[Result], position: int, number: str, last: str) -> float:
    """Return where a set is across: its number, the value of its last setting, or the place of this value."""
    result = results[position]
    if number:
        return result["numbers"][number]
    values = list(dict.fromkeys(str(each["varied"][last]) for each in results))
    value = result["varied"][last]
    numeric = all(isinstance(each["varied"][last], int | float) for each in results)
    return value if numeric else values.index(str(value))


def _others(pair: tuple[Result, Any]) -> str:
    """Return what was varied but the last setting, in words."""
    *others, _ = pair[0]["varied"].items()
    return ", ".join(f"{key}={value}" for key, value in others)
