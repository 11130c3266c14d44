"""The words of a comparison, for its report."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence

from vartk_registry import VartkError

from ...arguments import class_labels, prompts_of


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


def labels_of(arguments: argparse.Namespace) -> Callable[[Sequence[str]], list[str]]:
    """Return what gives the labels for a model's classes; the prompts become the first of --class.

    Raises:
        VartkError: as `prompts_of`; when called: the model draws classes and there are prompts, or a class
            is none.
    """
    prompts = prompts_of(arguments.prompts, arguments.prompts_file)
    arguments.classes = [*prompts, *(arguments.classes or ())] or None

    def labels(classes: Sequence[str]) -> list[str]:
        if prompts and classes:
            raise VartkError("this model draws classes, not prompts; give --class, or leave --prompt out")
        return class_labels(arguments.classes, classes)

    return labels
