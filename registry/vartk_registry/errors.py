"""Errors for the person who made them: what was given, what is wrong, what to type instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VartkError(Exception):
    """A mistake in what was asked for; the command line prints the message and exits with 2."""


class UnknownName(VartkError):
    """A name that is not among the valid ones; the message holds the nearest one and the list."""

    def __init__(self, what: str, name: str, valid: Iterable[str]) -> None:
        super().__init__(f"unknown {what} {name!r}{suggestion(name, valid)}")


class PluginError(VartkError):
    """A plugin that breaks the contract: a malformed spec, or a name that is already taken."""


class MissingRequirement(VartkError):
    """A component whose library is not installed; the message says how to install it."""


class Unsupported(VartkError):
    """A component that cannot serve a request; the message lists every reason."""


def suggestion(name: str, valid: Iterable[str]) -> str:
    """Return the tail of an error message: the nearest of `valid` to `name`, then all of them."""
    names = sorted(valid)
    folded = {valid_name.lower(): valid_name for valid_name in names}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    hint = f"; did you mean {folded[near[0]]!r}?" if near else "."
    return f"{hint} Valid: {', '.join(names)}" if names else f"{hint} There are none."


def counted(number: int, noun: str) -> str:
    """Return `number` with `noun` in the right number: "1 image", "3 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
