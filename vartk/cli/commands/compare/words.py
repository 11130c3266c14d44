"""The words of a comparison, for its report."""

from __future__ import annotations

import argparse
import shlex


def command(arguments: argparse.Namespace) -> str:
    """Return the command line that compares the same."""
    words = ["vartk", "compare", arguments.model, *arguments.overrides]
    for option in ("cache", "data", "count", "batch", "references", "seed", "out", "device"):
        if (value := getattr(arguments, option)) is not None:
            words += [f"--{option}", str(value)]
    repeated = {"class": arguments.classes or (), "way": arguments.ways, "system": arguments.systems}
    for option, values in repeated.items():
        for value in values:
            words += [f"--{option}", value]
    words += ["--published"] * arguments.published
    return shlex.join(words)
