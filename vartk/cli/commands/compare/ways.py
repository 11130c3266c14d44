"""vartk compare without --system: ways to sample with one model."""

from __future__ import annotations

import argparse
from dataclasses import fields

from ... import terminal
from .words import command, labels_of


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the tables, and write the report and the pictures."""
    terminal.note(f"loading {arguments.model}")
    from ....compare import Kept, Options, Plan, notes, protocol, tables, write_comparison
    from ...progress import bars

    labels = labels_of(arguments)
    options = Options(**{field.name: getattr(arguments, field.name) for field in fields(Options)})
    plan = Plan(options, labels)
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
