"""The peak memory of some work: on a CPU measured in a process of its own, on a GPU by torch's own count."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from multiprocessing.context import BaseContext
from typing import Any

import torch

from vartk_registry import VartkError

MEANING = {
    "cpu": "the most memory that a fresh process held, Python and torch included",
    "cuda": "the most memory that torch allocated on the device",
}
"""What the number is, by the type of the device."""


class Failed(Exception):
    """The work cannot be done; the message is the reason."""


def peak_memory(device: torch.device, work: Callable[..., object], *arguments: Any) -> int:
    """Return the peak in bytes (see `MEANING`) of `work(*arguments)`; on a CPU in a new process.

    Raises:
        Failed: the work raised an error, or its process was killed.
    """
    if device.type == "cuda":  # what the work allocates can be told from the rest, and processes start slowly
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        reason = _failure(work, arguments)
        peak = torch.cuda.max_memory_allocated(device) - before
    else:
        peak, reason = _alone(work, arguments)
    if reason:
        raise Failed(reason)
    return peak


def _alone(work: Callable[..., object], arguments: tuple[Any, ...]) -> tuple[int, str]:
    """Return the peak of a new process, and why there is none."""
    context = _context()
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(_measured, work, arguments).result()
        except BrokenProcessPool:
            return 0, "its process was killed, perhaps for lack of memory"


def _context() -> BaseContext:
    """Return how processes start: where it is offered, as copies of one that has imported torch alone."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch"])  # seconds, for every process that is started
    return context


def _measured(work: Callable[..., object], arguments: tuple[Any, ...]) -> tuple[int, str]:
    """Return this process's peak, and why the work failed if it did."""
    import resource  # which Windows lacks

    with redirect_stdout(sys.stderr):  # the other one is for the result of the command
        reason = _failure(work, arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024, reason  # bytes there, kilobytes elsewhere


def _failure(work: Callable[..., object], arguments: tuple[Any, ...]) -> str:
    """Do the work, and return why it failed; empty if it did not."""
    try:
        work(*arguments)
    except VartkError as error:
        return str(error)
    except Exception as error:  # out of memory, a compiler that is not there
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return ""
