"""vartk show: a component's parameters, or a preset."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
from typing import Any

from vartk_registry import KINDS, ComponentSpec, UnknownName, VartkError
from vartk_registry.params import describe_range, spelled

from ...components import plugins
from .. import terminal
from ..arguments import add_json, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("name", metavar="KIND/NAME", help="as `vartk list` prints it")
    add_json(parser)
    examples(parser, "vartk show sampler/categorical", "vartk show preset/var-d16")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what the component or preset is."""
    kind, slash, name = arguments.name.partition("/")
    if not slash:
        raise VartkError(f"{arguments.name!r} is not KIND/NAME; type for instance schedule/var-256")
    if kind not in KINDS and kind != "preset":
        raise UnknownName("kind", kind, [*KINDS, "preset"])
    if kind == "preset":
        text = plugins().preset(name).path.read_text().rstrip()
        terminal.result({"name": arguments.name, "yaml": text}, arguments.json, text)
    else:
        _show(plugins().registry.find(kind, name), arguments.json)
    return 0


def _show(spec: ComponentSpec, as_json: bool) -> None:
    registry = plugins().registry
    missing, config = registry.missing(spec), registry.config_class(spec)
    rows = [parameter_row(field) for field in dataclasses.fields(config)] if config else []
    if as_json:
        told = dataclasses.asdict(spec) | {"from": registry.origin(spec), "missing": missing}
        terminal.result(told | {"parameters": rows}, as_json=True)
        return
    terminal.out(f"{spec.kind}/{spec.name}: {spec.summary}")
    terminal.out(f"from {registry.origin(spec)}, {spec.target}")
    if spec.aliases:
        terminal.out(f"also called {', '.join(spec.aliases)}")
    if spec.deprecated:
        terminal.out(f"deprecated: {spec.deprecated}")
    if missing:
        terminal.out(f"not usable here: needs {', '.join(missing)}. {spec.install_hint}")
    if rows:
        terminal.out()
        terminal.table([[str(cell) for cell in row.values()] for row in rows], list(rows[0]))
    else:
        terminal.out("It takes no parameters.")


def parameter_row(field: dataclasses.Field[Any]) -> dict[str, Any]:
    """Return what a user needs to know of a parameter, by the headings of the table."""
    rule = field.metadata
    made = field.default_factory is not dataclasses.MISSING
    default = field.default_factory() if made else field.default
    choices = rule.get("choices")
    return {
        "parameter": field.name,
        "type": field.type if isinstance(field.type, str) else inspect.formatannotation(field.type),
        "default": "required" if default == "???" else default,  # omegaconf.MISSING
        "allowed": " | ".join(map(spelled, choices)) if choices else describe_range(rule),
        "what it does": rule.get("help", ""),
    }
