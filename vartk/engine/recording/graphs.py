"""Records computations on a GPU as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import torch

T = TypeVar("T")


class GraphRecorder:
    """A CUDA graph a part, in one memory pool.

    A part may read what earlier ones made, for as long as somebody holds it. So parts are replayed in the
    order in which they were recorded.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)
        self._graphs: list[torch.cuda.CUDAGraph] = []
        self._bytes = 0
        self._done = torch.cuda.Event()

    def record(self, work: Callable[[], T]) -> T:
        """Record a part; see `Recorder`."""
        graph = torch.cuda.CUDAGraph()
        reserved = torch.cuda.memory_reserved(self._device)
        # a graph cannot be recorded on the default stream
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            # other threads may go on using the device
            graph.capture_begin(self._pool, capture_error_mode="thread_local")
            try:
                result = work()
            except BaseException:
                self._end_failed(graph)
                raise
            graph.capture_end()
        torch.cuda.current_stream(self._device).wait_stream(self._stream)
        self._bytes += max(0, torch.cuda.memory_reserved(self._device) - reserved)
        self._graphs.append(graph)
        return result

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let a use begin after the one before has ended, which may have been on another stream."""
        torch.cuda.current_stream(self._device).wait_event(self._done)
        try:
            yield
        finally:
            self._done.record(torch.cuda.current_stream(self._device))

    def replay(self, part: int) -> None:
        """Compute a part again, on the current stream."""
        self._graphs[part].replay()

    def nbytes(self) -> int:
        """Return the bytes by which the recording made the reserved memory grow."""
        return self._bytes

    @staticmethod
    def _end_failed(graph: torch.cuda.CUDAGraph) -> None:
        """End a recording that failed, which leaves the stream as it was."""
        with suppress(RuntimeError):  # it repeats the error that is on its way already
            graph.capture_end()
