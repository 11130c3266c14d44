"""The peak memory of some work, measured in a process of its own."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import Any

import torch

from vartk_registry import VartkError

MEANING = {
    "cpu": "the most memory that a fresh process held, Python and torch included",
    "cuda": "the most memory that torch allocated on the device in a fresh process",
}
"""What the number is, by the type of the device."""


class Failed(Exception):
    """The work cannot be done; the message is the reason."""


def peak_memory(device: torch.device, work: Callable[..., object], *arguments: Any) -> int:
    """Return the peak in bytes (see `MEANING`) of `work(*arguments)` in a new process.

    Raises:
        Failed: the work raised an error, or its process was killed.
    """
    context = _context()
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            peak, reason = pool.submit(_measured, device, work, arguments).result()
        except BrokenProcessPool as error:
            raise Failed("its process was killed, perhaps for lack of memory") from error
    if reason:
        raise Failed(reason)
    return peak


def _context() -> BaseContext:
    """Return how processes start: where it is offered, as copies of one that has imported torch alone."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch"])  # seconds, for every process that is started
    return context


def _measured(
    device: torch.device, work: Callable[..., object], arguments: tuple[Any, ...]
) -> tuple[int, str]:
    """Return the peak and no reason, or the reason why there is none."""
    try:
        work(*arguments)
    except VartkError as error:
        return 0, str(error)
    except Exception as error:  # out of memory, a compiler that is not there
        return 0, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device), ""
    import resource  # which Windows lacks

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024, ""  # bytes there, kilobytes elsewhere
