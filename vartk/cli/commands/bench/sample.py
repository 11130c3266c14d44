"""vartk bench sample: sampling, by precision, backend and batch."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from vartk_registry import VartkError

from ...arguments import add_device, add_json, add_overrides, chosen, examples, whole_number
from .output import add_file, refuse_existing_files, show

EXAMPLES = (
    "vartk bench sample var-d16 --against plain",
    "vartk bench sample var-d16 --precisions bf16,bf16+compile --batch 1 --json",
    "vartk bench sample runs/transformer --against fp32 --backends sdpa,eager --batch 1,16",
)


def add(benchmarks: Any) -> None:
    """Add the sub-command."""
    sample = benchmarks.add_parser(
        "sample",
        help="sampling: time by stage, precision, backend and batch size",
        description=(
            "Time sampling: the transformer scale by scale, and the decoder. A preset or a YAML file gets\n"
            "random weights, a model folder has its own. Codes and images are compared with the first row's."
        ),
    )
    sample.add_argument("model", metavar="MODEL_OR_CONFIG", help="a preset, a YAML file, or a model's folder")
    add_overrides(sample, "transformer.depth=4 sampling.guidance.scale=0")
    sample.add_argument(
        "--against", default="plain", metavar="NAME", help="the precision to compare with (default: plain)"
    )
    sample.add_argument(
        "--precisions",
        default="fp32,bf16",
        metavar="A,B",
        help="plain, fp32, bf16, fp16; with +compile at the end compiled (default: %(default)s)",
    )
    sample.add_argument(
        "--backends", default="auto", metavar="A,B", help="names from `vartk list attention` (default: auto)"
    )
    sample.add_argument("--batch", default="1,8", metavar="N,M", help="batch sizes (default: 1,8)")
    sample.add_argument(
        "--repeats", type=whole_number(1, 1000), default=3, metavar="N", help="batches per row (default: 3)"
    )
    add_file(sample)
    add_device(sample)
    add_json(sample)
    sample.set_defaults(run=run)
    examples(sample, *EXAMPLES)


def run(arguments: argparse.Namespace) -> int:
    """Time sampling in several ways."""
    refuse_existing_files(arguments.out)
    precisions = chosen("precision", f"{arguments.against},{arguments.precisions}", _precisions())
    from ....components import plugins

    backends = chosen("attention", arguments.backends, ["auto", *plugins().registry.names("attention")])
    batches = [_batch(text) for text in arguments.batch.split(",")]
    from ....bench.sampling.measure import bench_sampling
    from ....bench.sampling.report import report
    from ...progress import bars

    with bars() as add_bar:
        bar = add_bar(
            "bench sample", len(precisions) * len(backends) * len(batches) * (arguments.repeats + 2)
        )
        result = bench_sampling(
            arguments.model,
            arguments.overrides,
            precisions=precisions,
            backends=backends,
            batches=batches,
            repeats=arguments.repeats,
            device=arguments.device,
            progress=lambda done, total, text: bar.update(done, text),
        )
    show(result, report(result), _command(arguments, result["device"]), arguments)
    return 0


def _precisions() -> list[str]:
    from ....engine.inference.precision import PRECISIONS

    return [name + end for end in ("", "+compile") for name in PRECISIONS]


def _batch(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise VartkError(f"--batch {text!r} is no number of images; give one or several, as in --batch 1,8")
    return int(text)


def _command(arguments: argparse.Namespace, device: str) -> str:
    """Return the command line that measures the same."""
    words = ["vartk", "bench", "sample", arguments.model, *arguments.overrides]
    for option in ("against", "precisions", "backends", "batch", "repeats"):
        words += [f"--{option}", str(getattr(arguments, option))]
    return shlex.join([*words, "--device", device])
