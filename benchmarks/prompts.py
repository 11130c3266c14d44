"""Measures a model of prompts on new combinations of emoji and style, and on new emoji.

    python benchmarks/prompts.py --out benchmarks/results/emoji64-prompts.md

A linear classifier on ELite0's features says which group and style a picture has; a linear map to the vectors
of captions finds a picture's caption among 100. Both are fitted to the training pictures. The true pictures
show what these can see at most, and the model of classes what can be had without a text.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from captioned.sight import STYLES, Prompts, Sight, table

import vartk
from vartk.cli.arguments import whole_number
from vartk.components import plugins
from vartk.engine.data import Images
from vartk.engine.model import Model
from vartk.engine.sets import Seen, set_distances
from vartk.files import refuse_existing, whole_file
from vartk.tables import Table, markdown_table
from vartk_registry import VartkError


def main(words: Sequence[str] | None = None) -> int:
    """Measure what the command line says; 2 is the exit code of a user's mistake."""
    arguments = parser().parse_args(words)
    try:
        run(arguments)
    except VartkError as error:
        print(f"prompts: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(description="Measure a model of prompts beside the model of classes.")
    made.add_argument("--model", default="emoji64-text", help="the model of prompts (default: emoji64-text)")
    made.add_argument(
        "--count",
        type=whole_number(4, 728),
        default=512,
        metavar="N",
        help="pictures of new emoji, and samples for FD (default: 512)",
    )
    made.add_argument(
        "--training",
        type=whole_number(50, 7144),
        default=7144,
        metavar="N",
        help="pictures that the classifiers are fitted to (default: all 7144)",
    )
    made.add_argument("--out", type=Path, required=True, metavar="FILE.md", help="the tables")
    return made


def run(arguments: argparse.Namespace) -> None:
    """Measure, and write the tables."""
    refuse_existing(arguments.out)
    began = time.perf_counter()
    text, classes = (vartk.load(name, device="cpu") for name in (arguments.model, "emoji64"))
    feature = plugins().registry.build("feature", "elite0", {})
    sight = Sight(_images("seen"), feature, text.predictor.conditioner, arguments.training)
    unseen = Prompts.of("New combinations of emoji and style", _images("unseen"), arguments.count)
    new = Prompts.of("New emoji", _images("seen", "validation"), arguments.count)
    tables = []
    for prompts in (unseen, new):
        made, images = table(sight, prompts, text, classes)
        tables.append(made)
        print(f"{made.title}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    true = Seen.of(feature, new.true)
    rows = []
    for name in ("prompts", "classes"):
        found = set_distances(plugins().registry, ["fd"], Seen.of(feature, images[name]), true)
        rows.append((name, f"{found['fd']:.0f}"))
    title = f"FD-ELite0 of samples for new emoji from {len(new.captions)} pictures of new emoji"
    tables.append(Table(("samples of", "FD"), rows, title))
    tables.append(_negative(sight, unseen, text))
    with whole_file(arguments.out) as aside:
        aside.write_text(_report(tables, arguments))


def _negative(sight: Sight, prompts: Prompts, text: Model) -> Table:
    """Return how often samples are seen as 3d, of prompts that name no style."""
    plain = [caption.rpartition(", ")[0] for caption in prompts.captions]
    rows = []
    for name, negative in (("none", None), ("`3d style`", "3d style"), ("`flat style`", "flat style")):
        images = text.sample(plain, negative=negative, seed=0).images.cpu()
        seen = sight.style_of(images)
        shares = [f"{(seen == style).float().mean():.1%}" for style in range(STYLES)]
        rows.append((name, *shares))
    styles = ("fluent-3d", "fluent-color", "fluent-flat", "noto", "noto-blob")
    return Table(("negative prompt", *styles), rows, "Styles that are seen where the prompt names none")


def _images(combinations: str, split: str = "train") -> Images:
    params = {"classes": "group-style", "combinations": combinations}
    return Images(plugins().registry.build("dataset", "emoji64", params, split=split), (64, 64))


def _report(tables: Sequence[Table], arguments: argparse.Namespace) -> str:
    """Return the tables in Markdown, with how they were made."""
    command = f"python benchmarks/prompts.py --count {arguments.count} --training {arguments.training}"
    head = (
        f"# Prompts of {Path(arguments.model).name}\n\n`{command} --out FILE.md`, vartk {vartk.__version__}, "
        f"torch {torch.__version__}, seeds from 0.\n"
    )
    parts = [f"## {made.title}\n\n{markdown_table(made.headings, made.rows)}" for made in tables]
    return "\n".join([head, *parts])


if __name__ == "__main__":
    sys.exit(main())
