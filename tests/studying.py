"""Studies carried out on the CPU, without a screen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiny import Quiet

from vartk.studies import Study, carry_out


class Bar:
    """A progress bar that shows nothing."""

    def __init__(self, title: str, total: int) -> None:
        self.title = title

    def update(self, done: int, text: str = "") -> None:
        pass


def carried(
    study: Study, folder: Path, reporter: Callable[[Any], Any] = lambda bar: Quiet()
) -> dict[str, Any]:
    """Carry a study out; return its result."""
    return carry_out(study, folder, device="cpu", add_bar=Bar, reporter=reporter, note=lambda line: None)
