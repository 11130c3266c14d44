"""Ctrl-C and SIGTERM, honoured between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..distributed import World


class StopRequest:
    """Whether the run was asked to stop, and by which signal.

    Attributes:
        received: the first signal of this process; it may come at any time.
        agreed: what all processes know of, since they last shared it.
    """

    received: int = 0
    agreed: int = 0

    def __bool__(self) -> bool:
        return self.agreed != 0

    def share(self, world: World, failed: bool = False) -> bool:
        """Ask every process to stop if one was asked to; return whether one of them says that it failed.

        Both are asked in every step, so they share one exchange.
        """
        self.agreed, failures = world.largest(self.received, int(failed))
        return failures > 0

    def obey(self) -> None:
        """End the run as the signal would have: `KeyboardInterrupt`, or exit code 143 for SIGTERM."""
        if self.agreed == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Take SIGINT and SIGTERM as requests while the block runs; the second of a kind acts at once.

    Of a kind, for torchrun answers Ctrl-C with a SIGTERM to processes that have seen Ctrl-C themselves.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
        yield request
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def take(number: int, frame: Any) -> None:
        request.received = request.received or number
        signal.signal(number, before[number])

    try:
        for number in before:
            signal.signal(number, take)
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
