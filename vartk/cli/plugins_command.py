"""vartk plugins: what is installed, and whether it keeps the contract."""

from __future__ import annotations

import argparse

from vartk_registry import VartkError, counted, suggestion

from ..components import plugins
from . import terminal
from .arguments import add_json, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", nargs="?", choices=["check"], help="check: run the conformance kit")
    parser.add_argument("name", nargs="?", help="the plugin to check")
    add_json(parser)
    examples(parser, "vartk plugins", "vartk plugins check vartk_plugins.schedules")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the plugins, or the result of the check."""
    if arguments.action == "check":
        return _check(arguments)
    reports = plugins().reports
    if arguments.json:
        rows = [
            {"name": r.name, "from": r.distribution, "version": r.version, "error": r.error} for r in reports
        ]
        terminal.result({"plugins": rows}, as_json=True)
        return 0
    rows = [
        (
            r.name,
            f"{r.distribution} {r.version}".strip(),
            r.error or counted(len(r.components), "component"),
        )
        for r in reports
    ]
    terminal.table(rows, ("plugin", "from", "what became of it"))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    """Run the conformance kit over a plugin's components; 1 where one breaks the contract."""
    reports = {report.name: report for report in plugins().reports}
    if arguments.name not in reports:
        name = arguments.name or ""
        raise VartkError(f"no plugin {name!r}{suggestion(name, reports)}")
    report = reports[arguments.name]
    if not report.ok:
        raise VartkError(f"plugin {report.name} of {report.distribution} failed:\n{report.details}")
    from vartk_registry.testing import check_component

    results = {}
    for component in report.components:
        kind, _, name = component.partition("/")
        try:
            check_component(plugins().registry, kind, name)
            results[component] = "keeps the contract"
        except (AssertionError, VartkError) as error:
            results[component] = f"FAILS: {error}"
    if arguments.json:
        terminal.result({"plugin": report.name, "results": results}, as_json=True)
    else:
        terminal.table(results.items(), ("component", "result"))
    return int(any(text.startswith("FAILS") for text in results.values()))
