"""What records computations, by type of device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import torch

from .graphs import GraphRecorder
from .operations import OperationRecorder

T = TypeVar("T")


class Recorder(Protocol):
    """Records parts of a computation, and replays them in the same order."""

    def record(self, work: Callable[[], T]) -> T:
        """Record what `work` computes, and return its result, whose tensors each replay fills anew.

        The numbers in them mean nothing before the first replay.

        Raises:
            RuntimeError: the work waits for the device, or its shapes depend on the data.
        """
        ...

    def turn(self) -> AbstractContextManager[Any]:
        """Return the context of one use: filling inputs, replays, and copies of results."""
        ...

    def replay(self, part: int) -> None:
        """Compute a part again, from the numbers that its inputs have now."""
        ...

    def nbytes(self) -> int:
        """Return the memory that the recording holds."""
        ...


def new_recorder(device: torch.device) -> Recorder:
    """Return an empty recorder: CUDA graphs on a GPU, single operations elsewhere."""
    return GraphRecorder(device) if device.type == "cuda" else OperationRecorder()
