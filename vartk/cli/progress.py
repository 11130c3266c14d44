"""Live progress on stderr: bars in a terminal, a few lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from .terminal import silent

LINES = 10
"""The lines that stand for a bar outside a terminal, beside the one a minute."""

_SOON = 30
"""Seconds: a time that is left is said after these, and if it is longer."""


class Bar:
    """A bar with a title and a changing text; outside a terminal, about `LINES` lines of it."""

    def __init__(self, progress: Progress, title: str, total: int) -> None:
        self._progress = progress
        self._title = title
        self._total = total
        self._task = progress.add_task(title, total=total, text="")
        self._tenth = -1
        self._told = time.monotonic()
        self._first: tuple[float, float] | None = None

    def update(self, done: float, text: str = "") -> None:
        """Show that `done` of the total is done."""
        self._progress.update(self._task, completed=done, text=text)
        if self._progress.console.is_terminal:
            return
        tenth, now = int(done * LINES / self._total), time.monotonic()
        if tenth > self._tenth or now - self._told > 60:
            self._tenth, self._told = tenth, now
            words = f"{self._title} {int(done)}/{self._total} {text}".rstrip()
            self.line(f"{words}{self._left(done, now)}")

    def _left(self, done: float, now: float) -> str:
        """Return the time that is left, at the speed so far; nothing while it is not known or short."""
        if self._first is None:
            self._first = done, now
        before, began = self._first
        if done <= before or now - began < _SOON:
            return ""
        left = (now - began) / (done - before) * (self._total - done)
        return f", {timedelta(seconds=round(left))} left" if left > _SOON else ""

    def line(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Details(ProgressColumn):
    """The changing text; in a narrow terminal it alone is cut off."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["text"], no_wrap=True, overflow="ellipsis")


@contextmanager
def bars() -> Iterator[Callable[[str, int], Bar]]:
    """Give a function that adds a bar, by title and total, to those shown while the block runs."""
    console = Console(stderr=True, quiet=silent())
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16, table_column=Column(no_wrap=True)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        _Details(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield partial(Bar, progress)


class TrainingBar:
    """Reports a training run on a bar; see `Reporter`."""

    def __init__(self, shown: Bar) -> None:
        self._bar = shown

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Show the numbers of a step."""
        hidden = ("lr", "grad_norm", "images_per_second")
        names = [name for name in values if name not in hidden and name[-1].isalpha()]  # not those of a scale
        text = " ".join(f"{name} {values[name]:.4g}" for name in names)
        self._bar.update(step, f"{text} lr {values['lr']:.2g} {values['images_per_second']:.1f} img/s")

    def event(self, text: str) -> None:
        """Print a line."""
        self._bar.line(text)
