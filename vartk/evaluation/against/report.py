"""The numbers of images against a reference, for the terminal and for `report.md`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...config import leaves
from ...files import whole_folder
from ...tables import Table, markdown_table
from ..pictures import spread
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
        *verdict(result),
        *(f"\n{line}" for line in result["remarks"]),
        "\n## Protocol\n",
        markdown_table(("part", "value"), protocol(result)),
    ]
    return "\n".join(parts)


def verdict(result: Mapping[str, Any]) -> list[str]:
    """Return the lines that say whether FID can be compared with published ones, and why not."""
    name, departures = (result["protocol"][key] for key in ("name", "departures"))
    if not departures:
        return [f"All parts are those of the protocol {name}."]
    return [f"Not comparable to published FID (protocol {name}):\n", *(f"- {line}" for line in departures)]


def protocol(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how the numbers were made: counts, feature, reference, sizes, rounding and sampling settings."""
    name, departures = (result["protocol"][key] for key in ("name", "departures"))
    split = result["reference"] in ("train", "validation")
    rows = [
        ("protocol", name + " with departures" * bool(departures)),
        ("images", f"{result['n']} of {_size(result['size'])}"),
        ("reference", f"{result['reference']}: {_reference(result)}"),
        ("classes", _classes(result["class_counts"])),
        ("feature", result["feature"]),
        ("crop of the reference", "centre, after a resize that covers the size" if split else "none"),
        ("rounding", "to 8 bits"),
        ("device", result["device"]),
    ]
    if "sampling" in result:
        rows.append(("computed in", result["computed_in"]))
        rows.append(("seeds", f"{result['seed']} and up, one per image"))
        rows += [(key, str(value)) for key, value in leaves(result["sampling"])]
    else:
        rows.append(("sampling", "not known: these are finished images"))
    return rows + [(name, version) for name, version in result["versions"].items()]


def _reference(result: Mapping[str, Any]) -> str:
    """Return what was known of the reference."""
    parts = []
    if result["m"]:
        parts.append(f"{result['m']} images of {_size(result['reference_size'])}")
    if result["stored_moments"]:
        parts.append(f"stored mean and covariance of {' and '.join(result['stored_moments'])}")
    return ", ".join(parts)


def _classes(counts: Sequence[int]) -> str:
    """Return how many images the classes have."""
    if not counts:
        return "not known"
    return f"{len(counts)}, with {spread(counts)} images each"


def _size(size: tuple[int, int]) -> str:
    h, w = size
    return f"{h}x{w} pixels"
