"""vartk bench train: a training step of either stage."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import Any

from ....bench.training.rows import STAGES, USUAL, Row, choose
from ...arguments import add_device, add_json, add_overrides, examples, whole_number
from .output import add_file, refuse_existing_files, show

EXAMPLES = (
    "vartk bench train demo --batch 8",
    "vartk bench train var-d16 --batch 2 --repeats 5 --out benchmarks/results/HARDWARE_YYYYMM.md",
    "vartk bench train demo --rows bf16,checkpointing --json",
    "vartk bench train demo --stage tokenizer --batch 8",
)


def add(benchmarks: Any) -> None:
    """Add the sub-command."""
    train = benchmarks.add_parser(
        "train",
        help="a training step, compared with a plain baseline",
        description=(
            "Time a training step of a stage, with random weights and images. The first row is a plain\n"
            "baseline (transformer: images encoded in every step, dense mask, fp32). Each further row\n"
            "adds an improvement to another row. Every row must compute what the baseline computes.\n"
            "A tokenizer trains with a discriminator and a perceptual distance."
        ),
    )
    train.add_argument("config", metavar="CONFIG", help="a preset or a YAML file")
    add_overrides(train, "transformer.depth=4 image_size=128")
    train.add_argument(
        "--stage", default="transformer", choices=list(STAGES), help="what is trained (default: %(default)s)"
    )
    train.add_argument("--rows", metavar="A,B", help=f"rows in addition to plain: {_rows()}")
    train.add_argument(
        "--batch", type=whole_number(1, 4096), default=2, metavar="N", help="images per step (default: 2)"
    )
    train.add_argument(
        "--repeats", type=whole_number(1, 1000), default=5, metavar="N", help="steps per row (default: 5)"
    )
    add_file(train)
    add_device(train)
    add_json(train)
    train.set_defaults(run=run)
    examples(train, *EXAMPLES)


def run(arguments: argparse.Namespace) -> int:
    """Time a training step in several ways."""
    refuse_existing_files(arguments.out)
    from ....bench.training.configurations import configurations
    from ....bench.training.measure import bench_training
    from ....bench.training.report import report
    from ...progress import bars

    given = USUAL[arguments.stage] if arguments.rows is None else arguments.rows.split(",")
    rows = choose([name.strip() for name in given if name.strip()], arguments.stage)
    configs = configurations(arguments.config, arguments.overrides, rows, arguments.batch)
    with bars() as add_bar:
        bar = add_bar("bench train", len(rows) * (arguments.repeats + 2))
        result = bench_training(
            rows,
            configs,
            repeats=arguments.repeats,
            device=arguments.device,
            progress=lambda done, total, text: bar.update(done, text),
        )
    show(result, report(result), _command(arguments, rows, result["device"]), arguments)
    return 0


def _rows() -> str:
    """Return the names of the rows by stage, with those that are the default."""
    listed = []
    for stage, rows in STAGES.items():
        names = ", ".join(name for name in rows if name != "plain")
        listed.append(f"of the {stage} {names} (default: {','.join(USUAL[stage])})")
    return "; ".join(listed)


def _command(arguments: argparse.Namespace, rows: Sequence[Row], device: str) -> str:
    """Return the command line that measures the same."""
    words = ["vartk", "bench", "train", arguments.config, *arguments.overrides, "--stage", arguments.stage]
    words += ["--rows", ",".join(row.name for row in rows[1:])]
    words += ["--batch", arguments.batch, "--repeats", arguments.repeats, "--device", device]
    return shlex.join(map(str, words))
