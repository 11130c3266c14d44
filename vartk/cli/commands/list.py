"""vartk list: components and presets."""

from __future__ import annotations

import argparse

from vartk_registry import KINDS, UnknownName

from ...components import plugins
from .. import terminal
from ..arguments import add_json, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("kind", nargs="?", metavar="KIND", help=f"one of {', '.join(KINDS)}, preset")
    add_json(parser)
    examples(parser, "vartk list", "vartk list schedule", "vartk list preset")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    found, kind = plugins(), arguments.kind
    if kind not in (None, "preset", *KINDS):
        raise UnknownName("kind", kind, [*KINDS, "preset"])
    specs = [] if kind == "preset" else found.registry.specs(kind)
    rows = [
        {
            "name": f"{spec.kind}/{spec.name}",
            "from": found.registry.origin(spec),
            "summary": spec.summary + (f" (deprecated: {spec.deprecated})" if spec.deprecated else ""),
            "missing": found.registry.missing(spec),
        }
        for spec in specs
    ]
    if kind in (None, "preset"):
        rows += [
            {"name": f"preset/{preset.name}", "from": "", "summary": preset.summary, "missing": []}
            for preset in found.presets.values()
        ]
    if arguments.json:
        terminal.result({"components": rows}, as_json=True)
        return 0
    lines = [(row["name"], row["from"], row["summary"] + _absent(row["missing"])) for row in rows]
    terminal.table(lines, ("name", "from", "what it is"))
    for report in found.reports:
        if not report.ok:
            terminal.note(f"plugin {report.name} of {report.distribution} failed: {report.error}")
    return 0


def _absent(missing: list[str]) -> str:
    return f" (needs {', '.join(missing)})" if missing else ""
