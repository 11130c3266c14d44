"""Loggers: where else the numbers and pictures of a training run are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Logger(Protocol):
    """Component kind `logger`.

    Built with `folder`, the `Path` of the run folder; `config`, the whole configuration as nested
    mappings; and `step`, the step after which the run goes on, 0 at its start. Numbers and pictures of
    later steps may have been logged before, and will be again.
    """

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Take numbers of a step, by name; they may be nan or infinite.

        A step's numbers may come in several calls, with different names.
        """
        ...

    def picture(self, step: int, image: torch.Tensor) -> None:
        """Take a picture [3, H, W] in [0, 1] of a step."""
        ...

    def close(self) -> None:
        """Finish: the run ended, or was stopped."""
        ...
