"""The entry point: finds the sub-command, and turns errors into messages."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from vartk_registry import UnknownName, VartkError, refusal

from ..components import plugins
from ..engine.allocation import keep_freed_memory
from . import streams, terminal
from .arguments import examples

COMMANDS = {
    "demo": "train a small model from scratch and look at its pictures",
    "list": "list the components and presets that are installed",
    "show": "show the parameters of a component, or a preset",
    "plugins": "list the plugins, or check that one keeps the contract",
    "env": "describe this installation for a bug report",
    "config": "show, validate or compare configurations",
    "train": "train a tokenizer or a transformer",
    "tokenize": "write the codes of a dataset, to train a transformer on them",
    "sample": "sample images",
    "inpaint": "draw a part of a picture anew",
    "edit": "draw a part of a picture anew under another class",
    "outpaint": "draw around a picture on a larger canvas",
    "vary": "draw variations of a picture",
    "upscale": "enlarge a picture",
    "interpolate": "draw the images between two pictures or two classes",
    "sweep": "sample the same seeds over a grid of settings and classes",
    "eval": "measure a model against real images",
    "app": "open a page in the browser to sample, in-paint and inspect",
    "compare": "compare sampling settings: caches, precisions, guidance",
    "study": "measure a claim about models: scaling, speed, ablation",
    "scaling": "fit power laws of loss to trainings, and extrapolate",
    "calibrate": "measure the parameters of a cache strategy on a model",
    "reconstruct": "encode and decode images",
    "bench": "measure the speed and memory of vartk on this machine",
    "card": "write a model card with pictures and numbers",
    "push": "upload a model to the Hugging Face hub",
    "pull": "download a model of the Hugging Face hub",
    "export": "write a model in the format of others",
    "new-plugin": "write a plugin to begin with, of any kinds of component",
    "convert": "make a model folder from files of the original VAR",
}

TRACE = "--trace-plugins"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 2 for a user's mistake, 130 for Ctrl-C."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if wrong := [word for word in words if "\0" in word]:
            raise VartkError(f"{wrong[0]!r} holds a NUL byte, which no name and no path can; leave it out")
        with streams.only_results():
            if TRACE in words:
                words = [word for word in words if word != TRACE]
                terminal.trace(plugins().reports)
            code = _run(words)
        sys.stdout.flush()
        return code
    except VartkError as error:
        terminal.error(str(error))
        return 2
    except KeyboardInterrupt:
        terminal.error("interrupted")
        return 130
    except BrokenPipeError:  # `vartk list | head`: the rest of the output has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        terminal.error(refusal(error))
        return 2


def _run(words: list[str]) -> int:
    command = words[0] if words else ""
    if command and not command.startswith("-") and command not in _commands():
        raise UnknownName("command", command, _commands())
    parser = build_parser(command)
    with streams.all_printed():
        parsed, rest = parser.parse_known_args(words)
    if not hasattr(parsed, "run"):
        parser.print_help(streams.results())
        return 0
    overrides = hasattr(parsed, "overrides") and not any(word.startswith("-") for word in rest)
    if rest and not overrides:
        parsed.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        parsed.overrides += rest
    keep_freed_memory()
    return parsed.run(parsed) or 0


def build_parser(command: str = "") -> argparse.ArgumentParser:
    """Return the parser; only the named sub-command is imported and gets its arguments."""
    parser = argparse.ArgumentParser(
        prog="vartk", description="A toolkit for visual autoregressive (next-scale) image models."
    )
    examples(
        parser,
        "vartk demo",
        "vartk list attention",
        "vartk sample vartk-demo/transformer --class 0,1 --out samples",
        "vartk sample --help",
    )
    parser.add_argument(
        TRACE,
        action="store_true",
        help="show which plugins are found, in which order, and their import times",
    )
    parser.add_argument("--version", action="version", version=f"vartk {_version()}")
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, summary in _commands().items():
        sub = subparsers.add_parser(name, help=summary, description=f"{summary[:1].upper()}{summary[1:]}.")
        if name == command and name in COMMANDS:
            importlib.import_module(f".commands.{name.replace('-', '_')}", __package__).configure(sub)
        elif name == command:
            spec = plugins().commands[name]
            spec.configure(sub)
            sub.set_defaults(run=streams.all_printed()(spec.run))
        sub.set_defaults(parser=sub)
    return parser


def _commands() -> dict[str, str]:
    """Return every command's summary by its name; a plugin cannot replace one of vartk's own."""
    added = {spec.name: spec.summary for spec in plugins().commands.values()}
    return COMMANDS | {name: summary for name, summary in added.items() if name not in COMMANDS}


def _version() -> str:
    from .. import __version__

    return __version__


if __name__ == "__main__":
    sys.exit(main())
