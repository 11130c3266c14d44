"""Devices by name."""

from __future__ import annotations

import logging
from functools import cache

import torch

from vartk_registry import VartkError

log = logging.getLogger(__name__)


def as_device(device: str | int | torch.device) -> torch.device:
    """Return a device that tensors can be put on; "auto" is the GPU if there is one, else the CPU.

    Raises:
        VartkError: there is no such device, or it cannot be used here.
    """
    if isinstance(device, str) and device == "auto":
        return _best()
    try:
        if not isinstance(device, (str, int, torch.device)) or isinstance(device, bool):
            raise RuntimeError("it is no device; give 'auto', 'cpu', 'cuda' or 'cuda:N'")
        found = torch.device(device)
        if found.type == "meta":
            raise RuntimeError("it holds no data")
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise VartkError(f"device {str(device)!r} cannot be used here: {reason}") from error
    return found


@cache
def _best() -> torch.device:
    """Return the GPU, and say so once, or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    log.warning(
        "running on %s; --device cpu, or device='cpu' in Python, keeps vartk on the CPU",
        torch.cuda.get_device_name(),
    )
    return torch.device("cuda")
