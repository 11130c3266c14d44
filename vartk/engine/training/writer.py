"""Files that are written while training goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType


class Writer:
    """Runs one job at a time in a thread. At the end of its block, the last job is done.

    An error of a job is raised in the thread that uses the writer: when it waits or starts another job, or
    at the end of the block.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "vartk-writer")
        self._job: Future[None] | None = None

    def start(self, job: Callable[[], None]) -> None:
        """Start a job, after the one before is done."""
        self.wait()
        self._job = self._pool.submit(job)

    @property
    def failed(self) -> bool:
        """Whether the job has failed, so that `wait` would raise at once."""
        return self._job is not None and self._job.done() and self._job.exception() is not None

    def wait(self) -> None:
        """Wait until the job is done, and raise its error."""
        job, self._job = self._job, None
        if job is not None:
            job.result()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        if kind is None:
            self.wait()
