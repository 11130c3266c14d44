"""The numbers of systems as tables, for the terminal and for `compare.md`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vartk_registry import counted

from ...config import leaves
from ...environment import environment
from ...evaluation.report import set_name
from ...files import whole_file
from ...images import save_image, strips
from ...tables import Table, markdown_table
from .contest import Contest


def write_systems(contest: Contest, result: Mapping[str, Any], out: Path) -> None:
    """Write `compare.json`, `compare.md` and a picture of the first images into a folder."""
    shown = len(next(iter(contest.shown.values())))
    save_image(strips(contest.shown, contest.names(result["labels"][:shown])), out / "strips.png")
    for name, content in (("compare.md", _page(result)), ("compare.json", json.dumps(result, indent=1))):
        with whole_file(out / name) as aside:
            aside.write_text(content)


def tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables of a result."""
    systems = result["systems"]
    speed = (
        "system",
        "parameters",
        "s / image",
        "lowest to highest",
        "speed-up",
        "first image",
        "peak memory",
    )
    yield Table(speed, [_speed(row) for row in systems], "Speed and memory")
    if "real_images" in result:
        real = {"name": "real images", **result["real_images"]}
        metrics = [name for name in real if name not in ("name", "n", "m")]
        rows = [(row["name"], *(f"{row[name]:.4g}" for name in metrics)) for row in (*systems, real)]
        headings = [set_name(name, result["feature"]) for name in metrics]
        title = f"{real['n']} images, from {real['m']} training images of {result['dataset']}"
        yield Table(("system", *headings), rows, title)
    rows = [(row["name"], " ".join(f"{k}={v}" for k, v in leaves(row["sampling"]))) for row in systems]
    yield Table(("system", "sampling"), rows, "Settings")


def protocol(result: Mapping[str, Any]) -> str:
    """Return in words how the numbers were made."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    text = (
        f"{counted(result['count'], 'image')} a system, the same labels and seeds (from {result['seed']} "
        f"up), in batches of {result['batch']} on {result['device']} with "
        f"{counted(result['threads'], 'thread')}; {versions}. After a warm-up, each batch is sampled by "
        "every system before the next one. Seconds are medians over full batches, from labels to decoded "
        "images. The first image is a batch of one. Parameters are those of the transformer or the "
        f"generator, without the tokenizer. Peak memory is {result['memory']}."
    )
    if "real_images" in result:
        text += (
            " Distances are from training images, drawn at random. `real images` are other training images "
            "in the samples' place, which is the floor at these counts."
        )
    return text


def _page(result: Mapping[str, Any]) -> str:
    parts = [f"# vartk compare\n\n```bash\n{result['command']}\n```\n\n{protocol(result)}\n"]
    parts += [f"## {table.title}\n\n{markdown_table(table.headings, table.rows)}" for table in tables(result)]
    parts.append("The same labels and seeds:\n\n![images by each system](strips.png)\n")
    parts.append(f"## Machine\n\n{markdown_table(('what', 'value'), environment())}")
    return "\n".join(parts)


def _speed(row: Mapping[str, Any]) -> tuple[str, ...]:
    seconds, memory = row["seconds_per_image"], row["peak_memory_bytes"]
    return (
        row["name"],
        f"{row['parameters'] / 1e6:.3g} M",
        f"{seconds['median']:.3g}",
        f"{seconds['low']:.3g} to {seconds['high']:.3g}",
        f"{row['speedup']:.2f} x",
        f"{row['first_image_seconds']:.3g} s",
        "-" if memory is None else f"{memory / 2**30:.2f} GiB",
    )
