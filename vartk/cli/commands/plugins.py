"""vartk plugins: what is installed, and whether it keeps the contract."""

from __future__ import annotations

import argparse

from vartk_registry import PluginError, PluginReport, UnknownName, VartkError

from ...components import plugins
from .. import terminal
from ..arguments import add_json, examples

KEPT = "keeps the contract"
BROKEN = "FAILS"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", nargs="?", choices=["check"], help="check: run the conformance kit")
    parser.add_argument("name", nargs="?", help="the plugin to check, as `vartk plugins` prints it")
    add_json(parser)
    examples(parser, "vartk plugins", "vartk plugins check vartk_plugins.schedules")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the plugins, or the result of the check."""
    reports = plugins().reports
    if arguments.action == "check":
        return _check(arguments.name, arguments.json)
    if arguments.json:
        rows = [
            {
                "name": report.name,
                "from": report.distribution,
                "version": report.version,
                "state": report.state,
                "components": report.components,
                "error": report.error,
            }
            for report in reports
        ]
        terminal.result({"plugins": rows}, as_json=True)
        return 0
    lines = [
        (report.name, f"{report.distribution} {report.version}".strip(), report.state, _offer(report))
        for report in reports
    ]
    terminal.table(lines, ("plugin", "from", "state", "components, or the error"))
    return 0


def _offer(report: PluginReport) -> str:
    return report.error or ", ".join(report.components)


def _check(name: str | None, as_json: bool) -> int:
    """Run the conformance kit over a plugin's components; 1 where one breaks the contract."""
    reports = {report.name: report for report in plugins().reports}
    if name is None:
        raise VartkError(f"which plugin? Give one of: {', '.join(reports)}")
    if name not in reports:
        raise UnknownName("plugin", name, reports)
    report = reports[name]
    if not report.ok:
        raise VartkError(f"plugin {report.name} of {report.distribution} failed:\n{report.details}")
    if report.blocked:
        raise VartkError(f"plugin {name} is blocked by VARTK_PLUGINS; allow it there")
    results = {component: _verdict(component) for component in report.components}
    if as_json:
        terminal.result({"plugin": report.name, "results": results}, as_json=True)
    elif results:
        terminal.table(list(results.items()), ("component", "result"))
    else:
        terminal.out(f"{name} has no components to check")
    return int(any(text.startswith(BROKEN) for text in results.values()))


def _verdict(component: str) -> str:
    from vartk_registry.testing import check_component

    kind, _, name = component.partition("/")
    try:
        check_component(plugins().registry, kind, name)
    except (AssertionError, PluginError) as error:
        return f"{BROKEN}: {error}"
    except VartkError as error:  # it cannot be built on this machine, or by its name alone
        return f"not checked: {error}"
    except Exception as error:  # a plugin may fail in any way
        return f"{BROKEN}: {type(error).__name__}: {error}"
    return KEPT
