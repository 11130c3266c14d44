"""vartk compare without --system: ways to sample with one model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from functools import partial

from vartk_registry import VartkError

from ... import terminal
from ...arguments import class_labels, prompts_of
from .words import command


def _labels(texts: Sequence[str] | None, prompted: bool, classes: Sequence[str]) -> list[str]:
    """Return the prompts, or the classes of those of a model, that are drawn."""
    if prompted and classes:
        raise VartkError("this model draws classes, not prompts; give --class, or leave --prompt out")
    return class_labels(texts, classes)


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the tables, and write the report and the pictures."""
    terminal.note(f"loading {arguments.model}")
    from ....compare import Kept, Options, Plan, notes, protocol, tables, write_comparison
    from ...progress import bars

    prompts = prompts_of(arguments.prompts, arguments.prompts_file)
    arguments.classes = [*prompts, *(arguments.classes or ())] or None
    options = Options(**{field.name: getattr(arguments, field.name) for field in fields(Options)})
    plan = Plan(options, partial(_labels, arguments.classes, bool(prompts)))
    kept = Kept(arguments.out, plan.made_by())
    try:
        with bars() as add_bar:
            comparison, numbers = plan.carry_out(kept, terminal.note, add_bar)
    except KeyboardInterrupt:
        if kept.labels is not None:
            terminal.note(f"stopped; the same command goes on with what is in {arguments.out}")
        raise
    result = {"command": command(arguments), **numbers}
    write_comparison(comparison, result, arguments.out)
    terminal.note(f"report: {arguments.out / 'compare.md'}")
    if arguments.json:
        terminal.result(result, as_json=True)
        return 0
    terminal.tables(tables(result))
    for line in notes(result):
        terminal.out(line)
    terminal.out(protocol(result))
    return 0
