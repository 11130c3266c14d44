"""The entry point: finds the sub-command, and turns errors into messages."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from vartk_registry import VartkError

from ..components import plugins
from . import terminal

COMMANDS = {
    "demo": "train a small model from scratch and look at its pictures",
    "list": "list the components and presets that are installed",
    "show": "show a component's parameters, or a preset",
    "plugins": "list the plugins, or check one against the contract",
    "env": "describe this installation, for a bug report",
    "config": "show, validate or compare configurations",
    "train": "train a tokenizer or a transformer",
    "tokenize": "write the codes of a dataset, for training a transformer",
    "sample": "sample images",
    "reconstruct": "encode and decode images",
    "convert": "make a model folder from the original VAR's files",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 2 for a user's mistake, 130 for Ctrl-C."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        parser = build_parser(words[0] if words else "")
        parsed, rest = parser.parse_known_args(words)
        if rest and not (hasattr(parsed, "overrides") and all(_is_override(word) for word in rest)):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        if rest:
            parsed.overrides += rest
        if not hasattr(parsed, "run"):
            parser.print_help()
            return 0
        return parsed.run(parsed) or 0
    except VartkError as error:
        terminal.error(str(error))
        return 2
    except KeyboardInterrupt:
        terminal.error("interrupted")
        return 130
    except BrokenPipeError:  # `vartk list | head`
        sys.stderr.close()
        return 1


def build_parser(command: str = "") -> argparse.ArgumentParser:
    """Return the parser; only the named sub-command is imported and gets its arguments."""
    parser = argparse.ArgumentParser(
        prog="vartk",
        description="A toolkit for visual autoregressive (next-scale) image models.",
        epilog="examples:\n  vartk demo\n  vartk list attention\n  vartk sample MODEL --class 0,1 --out DIR",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vartk {_version()}")
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, summary in COMMANDS.items():
        sub = _add(subparsers, name, summary)
        if name == command:
            module = importlib.import_module(f".{name}_command", __package__)
            module.configure(sub)
    for spec in plugins().commands.values():
        sub = _add(subparsers, spec.name, spec.summary)
        if spec.name == command:
            spec.configure(sub)
            sub.set_defaults(run=spec.run)
    return parser


def _add(subparsers: argparse._SubParsersAction, name: str, summary: str) -> argparse.ArgumentParser:
    return subparsers.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _is_override(word: str) -> bool:
    return "=" in word and not word.startswith("-")


def _version() -> str:
    from .. import __version__

    return __version__


if __name__ == "__main__":
    sys.exit(main())
