"""vartk show: a component's parameters, or a preset."""

from __future__ import annotations

import argparse
import dataclasses
import inspect

from vartk_registry import KINDS, VartkError
from vartk_registry.params import describe_range

from ..components import plugins
from . import terminal
from .arguments import examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("name", metavar="KIND/NAME", help="as `vartk list` prints it")
    examples(parser, "vartk show sampler/categorical", "vartk show preset/var-d16")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what the component or preset is."""
    kind, slash, name = arguments.name.partition("/")
    if not slash:
        raise VartkError(f"{arguments.name!r} is not KIND/NAME; type for instance schedule/var-256")
    if kind == "preset":
        terminal.out(plugins().preset(name).path.read_text().rstrip())
        return 0
    registry = plugins().registry
    spec = registry.find(kind, name) if kind in KINDS else registry.specs(kind)[0]
    terminal.out(f"{spec.kind}/{spec.name}: {spec.summary}")
    terminal.out(f"from {registry.origin(spec)}, {spec.target}")
    if spec.aliases:
        terminal.out(f"also called {', '.join(spec.aliases)}")
    if missing := registry.missing(spec):
        terminal.out(f"not usable here: needs {', '.join(missing)}. {spec.install_hint}")
    config = registry.config_class(spec)
    if config is None:
        terminal.out("It takes no parameters.")
        return 0
    rows = []
    for field in dataclasses.fields(config):
        default = registry.params(kind, name, {})[field.name]
        rule = field.metadata
        choices = rule.get("choices")
        allowed = " | ".join(map(str, choices)) if choices else describe_range(rule)
        type_name = field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)
        rows.append((field.name, str(type_name), str(default), allowed, rule.get("help", "")))
    terminal.table(rows, ("parameter", "type", "default", "allowed", "what it does"))
    return 0
