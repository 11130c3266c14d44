"""Every command's help ends in examples, and the parser takes them."""

import argparse
import shlex

import pytest

from vartk.cli.main import COMMANDS, build_parser


def parsers(parser):
    """A parser and those of its sub-commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from parsers(sub)


def of_command(command):
    (actions,) = (a for a in build_parser(command)._actions if isinstance(a, argparse._SubParsersAction))
    return parsers(actions.choices[command])


def examples(parser):
    head, *lines = (parser.epilog or "").splitlines()
    assert head == "examples:"
    return [line.strip() for line in lines]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_ends_in_examples(command):
    for parser in of_command(command):
        help = parser.format_help()
        assert help.endswith(f"{parser.epilog}\n")
        assert parser.description
        assert any(line.startswith(parser.prog) for line in examples(parser)), parser.prog


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_examples_parse(command):
    for parser in [build_parser()] if not command else of_command(command):
        for line in examples(parser):
            program, *words = shlex.split(line)
            assert program == "vartk"
            if words[-1] == "--help":
                assert words[0] in COMMANDS
                continue
            parsed, rest = build_parser(words[0]).parse_known_args(words)
            assert callable(parsed.run)
            assert all("=" in word for word in rest)
            assert not rest or hasattr(parsed, "overrides")


QUICK = ("list", "show", "plugins", "config", "env")


@pytest.mark.parametrize("command", QUICK)
def test_examples_run(vartk, command):
    lines = {line for parser in of_command(command) for line in examples(parser)}
    assert lines
    for line in sorted(lines):
        ran = vartk(*shlex.split(line)[1:])
        assert ran.code == 0, ran.err
        assert ran.out
