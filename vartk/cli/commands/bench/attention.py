"""vartk bench attention: the attention backends."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from ....components import plugins
from ...arguments import add_device, add_json, chosen, examples, whole_number
from .output import add_file, refuse_existing_files, show, write

EXAMPLES = (
    "vartk bench attention var-256",
    "vartk bench attention var-256 var-512 --backends sdpa,flash --dtypes bf16 --device cuda",
    "vartk bench attention var-256 --out benchmarks/results/HARDWARE_YYYYMM.md --plot attention.svg",
)


def add(benchmarks: Any) -> None:
    """Add the sub-command."""
    attention = benchmarks.add_parser(
        "attention",
        help="every attention backend, for the shapes of workload files",
        description=(
            "Time attention backends over workloads: training under the scale-causal mask, forward and\n"
            "with backward, and cached steps of sampling. Each is checked against eager attention first."
        ),
    )
    attention.add_argument(
        "workloads",
        nargs="*",
        metavar="WORKLOAD",
        help="var-256, var-512, var-1024 or YAML files (default: var-256)",
    )
    attention.add_argument(
        "--backends", metavar="A,B", help="names from `vartk list attention` (default: all)"
    )
    attention.add_argument("--dtypes", metavar="A,B", help="fp32, bf16, fp16 (default: the workload's)")
    attention.add_argument(
        "--repeats", type=whole_number(1, 1000), default=5, metavar="N", help="turns per backend (default: 5)"
    )
    add_file(attention)
    attention.add_argument(
        "--plot", type=Path, metavar="FILE.svg", help="draw a roofline and bars into this file"
    )
    add_device(attention)
    add_json(attention)
    attention.set_defaults(run=run)
    examples(attention, *EXAMPLES)


def run(arguments: argparse.Namespace) -> int:
    """Time the backends."""
    refuse_existing_files(arguments.out, arguments.plot)
    from ....bench.attention.measure import bench_attention, steps
    from ....bench.attention.plot import plot
    from ....bench.attention.report import report
    from ....bench.attention.workload import DTYPES, read_cases
    from ...progress import bars

    known = plugins().registry.names("attention")
    backends = chosen("attention backend", arguments.backends, known) or list(known)
    dtypes = chosen("dtype", arguments.dtypes, list(DTYPES))
    workloads = arguments.workloads or ["var-256"]
    cases = read_cases(workloads, plugins().registry, dtypes)
    with bars() as add_bar:
        bar = add_bar("bench attention", steps(cases, backends, arguments.repeats))
        result = bench_attention(
            cases,
            backends,
            repeats=arguments.repeats,
            device=arguments.device,
            progress=lambda done, total, text: bar.update(done, text),
        )
    words = ["vartk", "bench", "attention", *workloads, "--backends", ",".join(backends)]
    words += ["--dtypes", ",".join(dtypes)] if dtypes else []
    words += ["--repeats", str(arguments.repeats), "--device", result["device"]]
    if arguments.plot is not None:
        write(arguments.plot, plot(result))
    show(result, report(result), shlex.join(words), arguments)
    return 0
