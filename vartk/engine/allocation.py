"""How the C library treats memory that torch frees on a CPU."""

from __future__ import annotations

import ctypes
import sys

# parameters of glibc's mallopt(3)
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Let the process keep what torch frees, for the next tensor, instead of giving it back to the system.

    Torch's CPU allocator asks the C library for every tensor, and glibc maps each one of more than 32 MiB
    anew, which the system then clears page by page. With this the process goes on holding the most memory
    that it ever needed. Where the C library is another, nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
        libc.mallopt(_TRIM_THRESHOLD, _LARGEST)
