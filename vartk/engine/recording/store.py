"""Keeps recordings by what they were made for."""

from __future__ import annotations

import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Protocol

import torch

from .recorder import Recorder, new_recorder

SHARE = 4
"""Recordings hold at most one part in `SHARE` of a GPU's memory."""


class Recording(Protocol):
    """What a store keeps."""

    def nbytes(self) -> int:
        """Return the memory that it holds."""
        ...


class Store:
    """Recordings, of which the least recently used ones make room for others.

    Args:
        device: of the recordings.
        limit: the most bytes that they hold; None is a share of the GPU's memory, and no limit elsewhere.
    """

    def __init__(self, device: torch.device, limit: int | None = None) -> None:
        self._device = device
        if limit is None and device.type == "cuda":
            limit = torch.cuda.get_device_properties(device).total_memory // SHARE
        self._limit = limit
        self._kept: OrderedDict[Hashable, Recording] = OrderedDict()
        self._refused: dict[Hashable, str] = {}
        self._lock = threading.RLock()

    def find(self, key: Hashable) -> Any | None:
        """Return the recording of a key, which is the last used one then; None if there is none."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def nbytes(self) -> dict[Any, int]:
        """Return the bytes of each recording by its key, the least recently used one first."""
        with self._lock:
            return {key: recording.nbytes() for key, recording in self._kept.items()}

    def refusal(self, key: Hashable) -> str:
        """Return why there can be no recording of a key; empty if there can."""
        return self._refused.get(key, "")

    def make(self, key: Hashable, record: Callable[[Recorder], Recording]) -> Any | None:
        """Record by a new recorder, keep the recording, and return it; None if there is a `refusal`."""
        with self._lock:
            try:
                recording = record(new_recorder(self._device))
            except RuntimeError as error:
                self._refused[key] = f"{_place(error)}: {str(error).splitlines()[0]}"
                return None
            if self._limit is not None and recording.nbytes() > self._limit:
                self._refused[key] = (
                    f"it takes {recording.nbytes() / 2**20:,.0f} MiB, and recordings may hold "
                    f"{self._limit / 2**20:,.0f} MiB"
                )
                return None
            self._kept[key] = recording
            while self._limit is not None and sum(self.nbytes().values()) > self._limit:
                self._kept.popitem(last=False)
            return recording


def _place(error: BaseException) -> str:
    """Return the file and the line, outside of torch and of recorders, that an error comes from."""
    own = Path(__file__).parent
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent != own and "torch" not in Path(frame.filename).parts
    ]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}"
