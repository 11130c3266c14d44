"""The words of a comparison, for its report."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from typing import Any

from ...arguments import labels_for, prompts_of


def command(arguments: argparse.Namespace) -> str:
    """Return the command line that compares the same."""
    words = ["vartk", "compare", arguments.model, *arguments.overrides]
    for option in ("cache", "data", "count", "batch", "references", "seed", "out", "device"):
        if (value := getattr(arguments, option)) is not None:
            words += [f"--{option}", str(value)]
    repeated = {
        "class": arguments.classes or (),
        "prompt": arguments.prompts,
        "way": arguments.ways,
        "system": arguments.systems,
    }
    for option, values in repeated.items():
        for value in values:
            words += [f"--{option}", value]
    words += ["--published"] * arguments.published
    return shlex.join(words)


def labels_of(arguments: argparse.Namespace) -> Callable[[Any], list[Any]]:
    """Return what gives the labels for a model, as `labels_for`; prompts of a file become those of --prompt.

    Raises:
        VartkError: as `prompts_of`.
    """
    arguments.prompts = prompts_of(arguments.prompts, arguments.prompts_file)
    return lambda model: labels_for(model, arguments.classes, arguments.prompts)
