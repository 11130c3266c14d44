"""Who is told of each scale of a generation: a function of the caller's, and a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vartk_registry import VartkError, shown

from .scale import ScaleState

Watcher = Callable[[float, ScaleState], None]
"""Takes the number of images done, a fraction, and the scale."""

_BAR = "{desc}{bar}| {n:.0f}/{total} images [{elapsed}<{remaining}{postfix}]"


@contextmanager
def watching(watch: Watcher | None, progress: bool, total: int) -> Iterator[Watcher]:
    """Give a function that tells `watch` and moves a bar, if there is one, while the block runs.

    Args:
        progress: show the bar: in a terminal, or as a widget in a notebook that has them.
        total: images in all.
    """
    if not isinstance(progress, bool):
        raise VartkError(f"progress={shown(progress)} must be True or False")
    if not progress:
        yield watch or (lambda done, state: None)
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, bar_format=_BAR) as bar:

        def tell(done: float, state: ScaleState) -> None:
            bar.set_postfix_str(state.place, refresh=False)
            bar.update(done - bar.n)
            if watch is not None:
                watch(done, state)

        yield tell
