"""vartk eval with --reference: samples or finished images against a reference."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from ... import terminal


def finished(path: Path) -> bool:
    """Return whether a path holds finished images rather than a model."""
    return path.is_dir() or (path.suffix == ".npz" and path.is_file())


def run(arguments: argparse.Namespace, *, finished: bool) -> int:
    """Compare, print the numbers, and write the report."""
    from ....engine.device import as_device
    from ....engine.distributed import processes
    from ....evaluation.against import Options, Plan, table, verdict, write_report
    from ....files import refuse_existing
    from ...progress import bars

    for path in (arguments.out, arguments.save_reference):
        if path is not None:
            refuse_existing(path)
    typed = {
        field.name: getattr(arguments, field.name) for field in fields(Options) if field.name != "finished"
    }
    with processes(as_device(arguments.device)) as (world, device), bars() as add_bar:
        options = Options(**{**typed, "finished": finished, "device": str(device)})
        result = Plan(options, terminal.note, world).carry_out(add_bar)
    if result is None:  # the first process goes on
        return 0
    if arguments.out is not None:
        write_report(result, arguments.out)
        terminal.note(f"report: {arguments.out / 'report.md'}")
    for line in (*result["remarks"], *verdict(result)):
        terminal.note(line)
    if arguments.json:
        terminal.result(result, as_json=True)
        return 0
    terminal.tables([table(result)])
    return 0
