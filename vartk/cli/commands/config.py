"""vartk config: show, validate or compare configurations."""

from __future__ import annotations

import argparse
from typing import Any

from ...components import plugins
from ...config import Composed, Config, compose, leaves, load_layers, parse_overrides, plain
from .. import terminal
from ..arguments import add_json, add_overrides, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    show = _action(actions, "show", "every key with its value and where it came from")
    validate = _action(actions, "validate", "check a configuration; every problem is printed")
    for action, run in ((show, run_show), (validate, run_validate)):
        action.add_argument("config", metavar="CONFIG", help="a preset or a YAML file")
        add_overrides(action, "schedule=linear")
        add_json(action)
        action.set_defaults(run=run)
    diff = _action(actions, "diff", "the keys in which two configurations differ")
    diff.add_argument("config", metavar="A", help="a preset or a YAML file")
    diff.add_argument("other", metavar="B", help="another one")
    add_json(diff)
    diff.set_defaults(run=run_diff)
    lines = {
        show: "vartk config show demo transformer.depth=4",
        validate: "vartk config validate demo image_size=128 schedule=geometric",
        diff: "vartk config diff var-d16 var-d30",
    }
    for action, line in lines.items():
        examples(action, line)
    examples(parser, *lines.values())


def _action(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    return actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")


def composed(name: str, overrides: list[str]) -> Composed[Config]:
    """Return a preset or file with overrides, checked."""
    layers = [*load_layers(name, plugins()), parse_overrides(overrides)]
    return compose(Config, layers, plugins())


def run_show(arguments: argparse.Namespace) -> int:
    """Print the resolved keys."""
    made = composed(arguments.config, arguments.overrides)
    if arguments.json:
        terminal.result({"config": plain(made.config), "sources": made.sources}, as_json=True)
        return 0
    rows = [(path, str(value), made.sources[path]) for path, value in leaves(plain(made.config))]
    terminal.table(rows, ("key", "value", "from"))
    return 0


def run_validate(arguments: argparse.Namespace) -> int:
    """Print that a configuration is valid; problems are raised."""
    made = composed(arguments.config, arguments.overrides)
    from ...tasks.validate import validate_model

    validate_model(made.config, plugins())
    terminal.result({"valid": True}, arguments.json, f"{arguments.config} is valid")
    return 0


def run_diff(arguments: argparse.Namespace) -> int:
    """Print the keys that differ."""
    one, two = (
        dict(leaves(plain(composed(name, []).config))) for name in (arguments.config, arguments.other)
    )
    differ = {key: (one.get(key), two.get(key)) for key in one | two if one.get(key) != two.get(key)}
    if arguments.json:
        terminal.result({"differ": differ}, as_json=True)
        return 0
    rows = [(key, *("" if value is None else str(value) for value in pair)) for key, pair in differ.items()]
    terminal.table(rows, ("key", arguments.config, arguments.other))
    return 0
