"""Errors for the person who made them: what was given, what is wrong, what to type instead."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable


class VartkError(Exception):
    """A mistake in what was asked for; the command line prints the message and exits with 2."""


class UnknownName(VartkError):
    """A name that is not among the valid ones; the message holds the nearest one and the list."""

    def __init__(self, what: str, name: str, valid: Iterable[str]) -> None:
        super().__init__(f"unknown {what} {shortened(name)!r}{suggestion(name, valid)}")


class PluginError(VartkError):
    """A plugin that breaks the contract: a malformed spec, or a name that is already taken."""


class MissingRequirement(VartkError):
    """A component whose library is not installed; the message says how to install it."""


class Unsupported(VartkError):
    """A component that cannot serve a request; the message lists every reason."""


def suggestion(name: str, valid: Iterable[str], most: int | None = None) -> str:
    """Return the tail of an error message: the nearest of `valid` to `name`, then all of them.

    Args:
        most: how many are listed; None lists all.
    """
    names = sorted(valid)
    folded = {valid_name.lower(): valid_name for valid_name in names}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    hint = f"; did you mean {folded[near[0]]!r}?" if near else "."
    if not names:
        return f"{hint} There are none."
    rest = len(names[most:]) if most is not None else 0
    return f"{hint} Valid: {', '.join(names[:most])}" + (f", and {rest} more" if rest else "")


def refusal(error: OSError) -> str:
    """Return on one line which path the operating system refuses, why, and what to do."""
    return f"the path {shortened(error.filename)!r} cannot be used: {error.strerror}; give another one"


def require_reachable(path: str | os.PathLike[str]) -> None:
    """Raise `VartkError` if the operating system refuses even to say whether there is something at a path."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL byte, in no file's name
        pass
    except OSError as error:
        raise VartkError(refusal(error)) from error


def shortened(path: object) -> str:
    """Return a path as messages show it: the start and the end of a long one, on one line."""
    text = " ".join(str(path).split())
    return text if len(text) <= 160 else f"{text[:80]}...{text[-40:]}"


def shown(value: object) -> str:
    """Return a value as messages show it: on one line; of a long one the ends of a text, or else the type."""
    if isinstance(value, str):
        return shortened(repr(value))
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"a {type(value).__name__}"


def counted(number: int, noun: str) -> str:
    """Return `number` with `noun` in the right number: "1 image", "3 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
