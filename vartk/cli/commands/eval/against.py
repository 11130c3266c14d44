"""vartk eval with --reference: samples or finished images against a reference."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from vartk_registry import VartkError

from ... import terminal


def finished(path: Path) -> bool:
    """Return whether a path holds finished images rather than a model."""
    return path.is_dir() or (path.suffix == ".npz" and path.is_file())


def run(arguments: argparse.Namespace, *, finished: bool) -> int:
    """Compare, print the numbers, and write the report."""
    from ....engine.device import as_device
    from ....engine.distributed import processes
    from ....evaluation.against import Options, Plan, sweep_table, table, verdict, write_report, write_sweep
    from ....files import refuse_existing
    from ....tasks.sweep import parse_axes
    from ...progress import bars

    for path in (arguments.out, arguments.save_reference):
        if path is not None:
            refuse_existing(path)
    axes = parse_axes(arguments.over, _no_class)
    names = {field.name for field in fields(Options)} - {"axes", "finished", "device"}
    typed = {name: getattr(arguments, name) for name in names}
    with processes(as_device(arguments.device)) as (world, device), bars() as add_bar:
        options = Options(**typed, axes=axes, finished=finished, device=str(device))
        results = Plan(options, terminal.note, world).carry_out(add_bar)
    if not results:  # the first process goes on
        return 0
    if arguments.out is not None:
        write_sweep(results, arguments.out) if axes else write_report(results[0], arguments.out)
        terminal.note(f"report: {arguments.out / 'report.md'}")
    for line in dict.fromkeys(line for result in results for line in (*result["remarks"], *verdict(result))):
        terminal.note(line)
    if arguments.json:
        terminal.result({"sets": results} if axes else results[0], as_json=True)
        return 0
    terminal.tables([sweep_table(results) if axes else table(results[0])])
    return 0


def _no_class(text: str) -> list[str]:
    raise VartkError("--over class: an evaluation samples all classes; vary a setting of sampling")
