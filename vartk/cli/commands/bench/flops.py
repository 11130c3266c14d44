"""vartk bench flops: the floating-point operations of a model."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from ...arguments import add_json, add_overrides, examples
from .output import add_file, refuse_existing_files, show

EXAMPLES = (
    "vartk bench flops var-d16",
    "vartk bench flops var-d16 transformer.depth=20 sampling.guidance=constant --json",
)


def add(benchmarks: Any) -> None:
    """Add the sub-command."""
    flops = benchmarks.add_parser(
        "flops",
        help="parameters and floating-point operations of a model, by part and scale",
        description=(
            "Count the parameters and the floating-point operations of a model for one image, by part\n"
            "and by scale, with guidance and without. Nothing is computed, and no weights are needed."
        ),
    )
    flops.add_argument("model", metavar="MODEL_OR_CONFIG", help="a preset, a YAML file, or a model's folder")
    add_overrides(flops, "transformer.depth=20")
    add_file(flops)
    add_json(flops)
    flops.set_defaults(run=run)
    examples(flops, *EXAMPLES)


def run(arguments: argparse.Namespace) -> int:
    """Count."""
    refuse_existing_files(arguments.out)
    from ....bench.flops.count import count_flops
    from ....bench.flops.report import report
    from ....bench.model import model_config

    result = count_flops(model_config(arguments.model, arguments.overrides))
    command = shlex.join(["vartk", "bench", "flops", arguments.model, *arguments.overrides])
    show({"model": arguments.model, **result}, report(result), command, arguments)
    return 0
