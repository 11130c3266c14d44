"""Measures the zero-shot tasks of emoji64 on held-out pictures: tables and pictures.

    python benchmarks/zero_shot.py --count 128 --out benchmarks/results/emoji64-tasks.md

README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from held_out import editing, gallery, painting, upscaling
from held_out.pictures import Pictures

import vartk
from vartk.cli.arguments import whole_number
from vartk.files import refuse_existing, whole_file
from vartk.images import save_image, strips
from vartk.tables import Table, markdown_table
from vartk_registry import VartkError

SHOWN = 8
"""Pictures shown of each way."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure what the command line says; 2 is the exit code of a user's mistake."""
    arguments = parser().parse_args(words)
    try:
        run(arguments)
    except VartkError as error:
        print(f"zero_shot: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(description="Measure the zero-shot tasks of emoji64 on held-out pictures.")
    made.add_argument(
        "--count",
        type=whole_number(2, 728),
        default=128,
        metavar="N",
        help="held-out pictures (default: 128)",
    )
    made.add_argument(
        "--training",
        type=whole_number(10, 7332),
        default=7332,
        metavar="N",
        help="pictures that the classifier of the groups is fitted to (default: all 7332)",
    )
    made.add_argument("--out", type=Path, required=True, metavar="FILE.md", help="the tables")
    made.add_argument("--pictures", type=Path, metavar="DIR", help="a folder for pictures of each way")
    return made


def run(arguments: argparse.Namespace) -> None:
    """Measure, and write the tables and the pictures."""
    refuse_existing(arguments.out)
    began = time.perf_counter()
    model, pictures = vartk.load("emoji64", device="cpu"), Pictures.drawn(arguments.count)
    measured: list[Table] = []

    def keep(table: Table, images: dict[str, torch.Tensor], name: str) -> None:
        measured.append(table)
        print(f"{table.title}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
        if arguments.pictures:
            rows = {way.replace("`", ""): each[:SHOWN] for way, each in images.items()}
            labels = [pictures.classes[label] for label in pictures.labels[:SHOWN]]
            save_image(strips(rows, labels).quantize(), arguments.pictures / f"{name}.png")

    for name, made in zip(("inpaint", "outpaint"), painting.tables(model, pictures), strict=True):
        keep(*made, name)
    keep(*editing.table(model, pictures, arguments.training), "edit")
    for factor, made in zip(upscaling.FACTORS, upscaling.tables(model, pictures), strict=True):
        keep(*made, f"upscale-{factor}")
    if arguments.pictures:
        for name, picture in gallery.galleries(model, pictures):
            save_image(picture.quantize(), arguments.pictures / f"{name}.png")
    with whole_file(arguments.out) as aside:
        aside.write_text(_report(measured, arguments))


def _report(measured: Sequence[Table], arguments: argparse.Namespace) -> str:
    """Return the tables in Markdown, with how they were made."""
    command = f"python benchmarks/zero_shot.py --count {arguments.count} --training {arguments.training}"
    head = (
        f"# Zero-shot tasks of emoji64\n\n`{command} --out FILE.md`, vartk {vartk.__version__}, torch "
        f"{torch.__version__}. {arguments.count} held-out pictures, seeds 0 to {arguments.count - 1}.\n"
    )
    parts = [f"## {table.title}\n\n{markdown_table(table.headings, table.rows)}" for table in measured]
    return "\n".join([head, *parts])


if __name__ == "__main__":
    sys.exit(main())
