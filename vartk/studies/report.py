"""A study's numbers as tables, for the terminal and for the page `study.md`, with its plots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..environment import environment
from ..files import whole_file
from ..scaling.report import PLOT as SCALING_PLOT
from ..scaling.report import of_json, protocol, remarks
from ..scaling.report import tables as scaling_tables
from ..tables import Table, markdown_table
from .plots import scaling_plot, speed_plot
from .tokenizers import reconstruction_tables

PAGE = "study.md"
RESULT = "study.json"
SPEED_PLOT = "speed.svg"


def write_study(result: Mapping[str, Any], folder: Path) -> None:
    """Write `study.json`, `study.md` and the plots into a study's folder."""
    files = {RESULT: json.dumps(result, indent=1), PAGE: _page(result)}
    if "speed" in result:
        files[SPEED_PLOT] = speed_plot(result["speed"])
    if "scaling" in result:
        term = result["scaling"]["irreducible"]
        given = None if term == "fitted" else term
        files[SCALING_PLOT] = scaling_plot(of_json(result["scaling"]["runs"]), given)
    for name, content in files.items():
        with whole_file(folder / name) as aside:
            aside.write_text(content)


def tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables of a result, those of each measure."""
    tokenizers = {
        name: row["reconstruction"] for name, row in result["systems"].items() if "reconstruction" in row
    }
    if tokenizers:
        yield from reconstruction_tables(tokenizers)
    trained = {name: row for name, row in result["systems"].items() if "validation" in row}
    if trained:
        yield Table(
            (
                "system",
                "parameters",
                "images",
                "FLOP",
                "loss",
                "last scale",
                "token error",
                "minutes",
                "seed",
            ),
            [(name, *_training(row["validation"])) for name, row in trained.items()],
            "Trainings",
        )
    sampled = {name: row["distances"] for name, row in result["systems"].items() if "distances" in row}
    if sampled:
        yield from _distances(sampled)
    if "speed" in result:
        yield Table(
            (
                "group",
                "batch",
                "system",
                "steps",
                "tokens",
                "images / s",
                "first image after",
                "lowest to highest",
                "speed-up",
            ),
            list(_speed(result["speed"])),
            "Speed",
        )
    if "scaling" in result:
        yield from list(scaling_tables(result["scaling"]))[:-1]  # its runs are the trainings above


def _training(row: Mapping[str, Any]) -> tuple[str, ...]:
    minutes = "-" if row["seconds"] is None else f"{row['seconds'] / 60:.1f}"
    return (
        f"{row['parameters']:,}",
        f"{row['images']:,}",
        f"{row['compute']:.3g}",
        f"{row['loss']:.4f}",
        f"{row['loss_last']:.4f}",
        f"{row['error']:.4f}",
        minutes,
        str(row["seed"]),
    )


def _distances(sampled: Mapping[str, Mapping[str, Any]]) -> Iterator[Table]:
    first = next(iter(sampled.values()))
    metrics = [name for name in first["real"] if name not in ("n", "m")]
    rows = [(name, *(f"{row[metric]:.4g}" for metric in metrics)) for name, row in sampled.items()]
    rows.append(("real images", *(f"{first['real'][metric]:.4g}" for metric in metrics)))
    headings = [f"{metric.upper()}-{first['feature']}" for metric in metrics]
    yield Table(("samples of", *headings), rows, f"{first['n']} samples, from training images")


def _speed(rows: list[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    firsts: dict[tuple[str, int], float] = {}
    for row in rows:
        seconds = row["seconds"]
        first = firsts.setdefault((row["group"], row["batch"]), seconds["median"])
        yield (
            row["group"],
            str(row["batch"]),
            row["system"],
            str(row["steps"]),
            str(row["tokens"]),
            f"{row['images_per_second']:.3g}",
            f"{seconds['median']:.3g} s",
            f"{seconds['low']:.3g} to {seconds['high']:.3g}",
            f"{first / seconds['median']:.2f} x",
        )


def _page(result: Mapping[str, Any]) -> str:
    study = result["study"]
    parts = [f"# {study['title']}\n\n```bash\n{result['command']}\n```\n"]
    if study["claim"]:
        parts.append(f"{study['claim']}\n")
    systems = [
        (
            system["name"],
            system["config"] or study["config"],
            " ".join(system["settings"]),
        )
        for system in study["systems"]
    ]
    shared = " ".join(study["settings"]) or "none"
    parts.append(f"## Systems\n\n{markdown_table(('system', 'begins from', 'settings'), systems)}")
    parts.append(f"Settings of every system: {shared}\n")
    parts += [f"## {table.title}\n\n{markdown_table(table.headings, table.rows)}" for table in tables(result)]
    if "speed" in result:
        device, threads = result["speed"][0]["device"], result["threads"]
        parts.append(
            f"![seconds to the first image]({SPEED_PLOT})\n\nRandom weights, on {device} with {threads} "
            "threads, in turns. All images of a batch are finished together, so the first one is there after "
            "the whole batch. The speed-up is over the first system of a group at the same batch.\n"
        )
    if "scaling" in result:
        said = "".join(f"- {line}\n" for line in remarks(result["scaling"]))
        parts.append(f"![the laws]({SCALING_PLOT})\n\n{protocol(result['scaling'])}\n\n{said}")
    commands = dict.fromkeys(line for row in result["systems"].values() for line in row.get("commands", ()))
    if commands:
        parts.append("## The trainings one by one\n\n```text\n" + "\n".join(commands) + "\n```\n")
    versions = {**result["versions"], **dict(environment())}
    parts.append(f"## Machine\n\n{markdown_table(('what', 'value'), versions.items())}")
    return "\n".join(parts)
