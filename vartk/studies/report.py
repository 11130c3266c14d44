"""A study's numbers as tables, for the terminal and for the page `study.md`, with its plots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..environment import environment
from ..evaluation.report import set_name
from ..files import whole_file
from ..scaling.report import PLOT as SCALING_PLOT
from ..scaling.report import of_json, protocol, remarks
from ..scaling.report import tables as scaling_tables
from ..tables import Table, markdown_table
from .carrying import PICTURES
from .plots import data_plot, scaling_plot, speed_plot
from .tokenizers import reconstruction_tables
from .zero_shot.measured import table as task_table

PAGE = "study.md"
RESULT = "study.json"
SPEED_PLOT = "speed.svg"
DATA_PLOT = "data.svg"

ZERO_SHOT = """\
The tasks are measured on held-out pictures ({count}, if there are as many), with seeds from 0 up.

- PSNR is the mean over the pictures. Outside is what the mask keeps, inside is what is drawn anew. A low
  PSNR inside is no defect: there are many ways to fill a hole.
- The seam is the mean difference of neighbouring pixels across the mask's edge, in levels of 8 bits. The seam
  of the true pictures is the aim.
- FD compares the images of a row with the same true pictures. It depends on their number.
- The classifier of the groups is a linear layer on the feature, fitted to training pictures ({fitted} at
  most). Its row `true pictures` shows how often it is right about held-out pictures.
- Super-resolution starts from pictures that were shrunk bicubically and rounded to 8 bits."""


def write_study(result: Mapping[str, Any], folder: Path) -> None:
    """Write `study.json`, `study.md` and the plots into a study's folder."""
    files = {RESULT: json.dumps(result, indent=1), PAGE: _page(result)}
    if "speed" in result:
        files[SPEED_PLOT] = speed_plot(result["speed"])
    if "data" in result:
        files[DATA_PLOT] = data_plot(result["data"]["rows"])
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
    sampled = {name: row["distances"] for name, row in result["systems"].items() if "distances" in row}
    if tokenizers:
        yield from reconstruction_tables(tokenizers, sampled)
    trained = {name: row for name, row in result["systems"].items() if "validation" in row}
    if trained:
        yield Table(
            (
                "system",
                "parameters",
                "images",
                "epochs",
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
    if sampled:
        yield from _distances(sampled)
    if "data" in result:
        yield _data(result["data"])
    for name, task in _zero_shot(result):
        if task["rows"]:
            yield task_table(f"{name}: {task['title']}", task["rows"], task["feature"])
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
                "processor time",
                "speed-up by it",
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
        f"{row['epochs']:.3g}",
        f"{row['compute']:.3g}",
        *("-" if row[key] is None else f"{row[key]:.4f}" for key in ("loss", "loss_last", "error")),
        minutes,
        str(row["seed"]),
    )


def _distances(sampled: Mapping[str, Mapping[str, Any]]) -> Iterator[Table]:
    first = next(iter(sampled.values()))
    metrics = [name for name in first["real"] if name not in ("n", "m")]
    rows = [(name, *(f"{row[metric]:.4g}" for metric in metrics)) for name, row in sampled.items()]
    rows.append(("real images", *(f"{first['real'][metric]:.4g}" for metric in metrics)))
    headings = [set_name(metric, first["feature"]) for metric in metrics]
    yield Table(("samples of", *headings), rows, f"{first['n']} samples, from training images")


def _data(data: Mapping[str, Any]) -> Table:
    metrics = data["metrics"]
    rows = [
        (
            row["group"],
            f"{row['share']:g}",
            f"{row['training_images']:,}",
            f"{row['epochs']:.3g}",
            f"{row['loss']:.4f}",
            *(f"{row[metric]:.4g}" for metric in metrics),
        )
        for row in data["rows"]
    ]
    headings = [set_name(metric, data["feature"]) for metric in metrics]
    named = ("group", "share of the data", "training images", "epochs", "validation loss", *headings)
    return Table(named, rows, "Quality by share and epochs")


def _zero_shot(result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each zero-shot task with the name of its system."""
    for name, row in result["systems"].items():
        for task in row.get("zero-shot", {}).get("tasks", {}).values():
            yield name, task


def _speed(rows: list[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    firsts: dict[tuple[str, int], tuple[float, float]] = {}
    for row in rows:
        seconds, worked = row["seconds"], row["processor_seconds"]["median"]
        first = firsts.setdefault((row["group"], row["batch"]), (seconds["median"], worked))
        yield (
            row["group"],
            str(row["batch"]),
            row["system"],
            str(row["steps"]),
            "-" if row["tokens"] is None else str(row["tokens"]),
            f"{row['images_per_second']:.3g}",
            f"{seconds['median']:.3g} s",
            f"{seconds['low']:.3g} to {seconds['high']:.3g}",
            f"{first[0] / seconds['median']:.2f} x",
            f"{worked:.3g} s",
            f"{first[1] / worked:.2f} x",
        )


def _page(result: Mapping[str, Any]) -> str:
    study = result["study"]
    parts = [f"# {study['title']}\n\n```bash\n{result['command']}\n```\n"]
    if study["claim"]:
        parts.append(f"{study['claim']}\n")
    systems = [
        (
            system["name"],
            system["model"] or system["config"] or study["config"],
            " ".join(system["settings"]),
        )
        for system in study["systems"]
    ]
    shared = " ".join(study["settings"]) or "none"
    parts.append(f"## Systems\n\n{markdown_table(('system', 'begins from', 'settings'), systems)}")
    parts.append(f"Settings of every system: {shared}\n")
    parts += [f"## {table.title}\n\n{markdown_table(table.headings, table.rows)}" for table in tables(result)]
    if "data" in result:
        parts.append(
            f"![quality by epochs]({DATA_PLOT})\n\nSamples of every system are compared with the same "
            "training images, drawn from all of them. Losses can be compared within a group only: each group "
            "has a loss of its own.\n"
        )
    tasks = list(_zero_shot(result))
    if tasks:
        parts.append(f"{ZERO_SHOT.format(count=study['samples'], fitted=study['fitted'])}\n")
        places = [f"{PICTURES}/{quote(name)}/{each}.png" for name, task in tasks for each in task["pictures"]]
        parts += [f"![{Path(place).stem}]({place})\n" for place in places]
    if "speed" in result:
        device, threads = result["speed"][0]["device"], result["threads"]
        parts.append(
            f"![seconds to the first image]({SPEED_PLOT})\n\nRandom weights, on {device} with {threads} "
            "threads, in turns. All images of a batch are finished together, so the first one is there after "
            "the whole batch. The speed-up is over the first system of a group at the same batch. "
            "The processor time is that of all threads. Where other programs use the machine, it is the "
            "fairer number on a CPU; on a GPU it does not count.\n"
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
