"""Live progress on stderr: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """A bar with a title and a changing text; outside a terminal each change is a line."""

    def __init__(self, progress: Progress, title: str, total: int) -> None:
        self._progress = progress
        self._title = title
        self._total = total
        self._task = progress.add_task(title, total=total, text="")

    def update(self, done: int, text: str = "") -> None:
        """Show that `done` of the total is done."""
        self._progress.update(self._task, completed=done, text=text)
        if not self._progress.console.is_terminal:
            self.line(f"{self._title} {done}/{self._total} {text}".rstrip())

    def line(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def bars() -> Iterator[Callable[[str, int], Bar]]:
    """Give a function that adds a bar, by title and total, to those shown while the block runs."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield partial(Bar, progress)


class TrainingBar:
    """Reports a training run on a bar; see `Reporter`."""

    def __init__(self, shown: Bar) -> None:
        self._bar = shown

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Show the numbers of a step."""
        names = [name for name in values if name not in ("lr", "grad_norm", "images_per_second")]
        text = " ".join(f"{name} {values[name]:.4g}" for name in names)
        self._bar.update(step, f"{text} lr {values['lr']:.2g} {values['images_per_second']:.1f} img/s")

    def event(self, text: str) -> None:
        """Print a line."""
        self._bar.line(text)
