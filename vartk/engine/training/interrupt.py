"""Ctrl-C and SIGTERM, honoured between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class StopRequest:
    """Whether the run was asked to stop, and by which signal."""

    number: int | None = None

    def __bool__(self) -> bool:
        return self.number is not None

    def obey(self) -> None:
        """End the run as the signal would have: `KeyboardInterrupt`, or exit code 143 for SIGTERM."""
        if self.number == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Take the first SIGINT or SIGTERM as a request while the block runs; a second one acts at once."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
        yield request
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def take(number: int, frame: Any) -> None:
        request.number = number
        restore()

    try:
        for number in before:
            signal.signal(number, take)
        yield request
    finally:
        restore()
