"""The numbers of images against a reference, for the terminal and for `report.md`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...config import leaves
from ...files import whole_folder
from ...tables import Table, markdown_table
from ..report import set_name


def write_report(result: Mapping[str, Any], folder: Path) -> None:
    """Write `evaluation.json` and `report.md` as a new folder."""
    with whole_folder(folder) as aside:
        (aside / "evaluation.json").write_text(json.dumps(result, indent=1))
        (aside / "report.md").write_text(report(result))


def table(result: Mapping[str, Any]) -> Table:
    """Return the numbers by their names."""
    rows = [
        (set_name(name, result["feature"], result["published"]), f"{value:.6g}")
        for name, value in result["numbers"].items()
    ]
    return Table(("number", "value"), rows, f"{result['images']} from {result['reference']}")


def report(result: Mapping[str, Any]) -> str:
    """Return the page: the numbers, the remarks and how the numbers were made."""
    shown = table(result)
    parts = [
        f"# {shown.title}\n",
        markdown_table(shown.headings, shown.rows),
        *(f"- {line}" for line in result["remarks"]),
        "\n## Protocol\n",
        markdown_table(("part", "value"), protocol(result)),
    ]
    return "\n".join(parts)


def protocol(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how the numbers were made: counts, feature, reference, sizes, rounding and sampling settings."""
    rows = [
        ("images", f"{result['n']} of {_size(result['size'])}"),
        ("reference", f"{result['reference']}: {_reference(result)}"),
        ("feature", result["feature"]),
        ("rounding", "to 8 bits"),
    ]
    if "sampling" in result:
        rows += [("seeds", f"{result['seed']} and up, one per image"), ("classes", "as many images of each")]
        rows += [(key, str(value)) for key, value in leaves(result["sampling"])]
    return rows + [(name, version) for name, version in result["versions"].items()]


def _reference(result: Mapping[str, Any]) -> str:
    """Return what was known of the reference."""
    parts = []
    if result["m"]:
        parts.append(f"{result['m']} images of {_size(result['reference_size'])}")
    if result["stored_moments"]:
        parts.append(f"stored mean and covariance of {' and '.join(result['stored_moments'])}")
    return ", ".join(parts)


def _size(size: tuple[int, int]) -> str:
    h, w = size
    return f"{h}x{w} pixels"
