"""Standard output holds results alone: what plugins and libraries print goes to standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

_results: TextIO | None = None


def results() -> TextIO:
    """Return the stream that results are printed to."""
    return _results or sys.stdout


@contextmanager
def only_results() -> Iterator[None]:
    """Let only what is printed to `results()` reach standard output while the block runs."""
    global _results
    before, _results = _results, results()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _results = before


@contextmanager
def all_printed() -> Iterator[None]:
    """Let everything that is printed reach standard output: help texts, and the commands of plugins."""
    with redirect_stdout(results()):
        yield
