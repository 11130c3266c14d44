"""vartk bench: how fast vartk's own code is on this machine.

A module for each benchmark: `add` makes the sub-command, `run` measures. `output` is what they share.
"""

from __future__ import annotations

import argparse

from ...arguments import examples
from . import attention, decode, flops, sample, train

BENCHMARKS = (train, sample, decode, attention, flops)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the benchmarks and their arguments."""
    sub = parser.add_subparsers(metavar="BENCHMARK", required=True)
    for benchmark in BENCHMARKS:
        benchmark.add(sub)
    examples(parser, *(benchmark.EXAMPLES[0] for benchmark in BENCHMARKS))
