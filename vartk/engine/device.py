"""Devices by name."""

from __future__ import annotations

import logging
from functools import cache

import torch

from vartk_registry import VartkError, shortened

from ..environment import launched_rank

log = logging.getLogger(__name__)


def as_device(device: str | int | torch.device) -> torch.device:
    """Return a device that tensors can be put on; "auto" is the GPU if there is one, else the CPU.

    Raises:
        VartkError: there is no such device, or it cannot be used here.
    """
    if isinstance(device, str) and device == "auto":
        return _best()
    found = _named(device)
    if found is None:
        raise VartkError(_refused(device, "there is no such device"))
    try:
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, ImportError) as error:
        first_sentence = str(error).splitlines()[0].split(". ")[0]
        reason = first_sentence if found.type == "cuda" else "this torch cannot compute on it"
        raise VartkError(_refused(device, reason)) from error
    return found


def _named(device: object) -> torch.device | None:
    """Return the device that a name, an index or a device means; None where it means none with data."""
    if not isinstance(device, (str, int, torch.device)) or isinstance(device, bool):
        return None
    try:
        found = torch.device(device)
    except (RuntimeError, ValueError):  # ValueError: an index too large
        return None
    return None if found.type == "meta" else found


def _refused(device: object, reason: str) -> str:
    return f"device {shortened(device)!r} cannot be used here: {reason}; give auto, cpu, cuda or cuda:N"


@cache
def _best() -> torch.device:
    """Return the GPU, and say so once, or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if not launched_rank():  # of several processes the first one speaks for all
        log.warning(
            "running on %s; --device cpu, or device='cpu' in Python, keeps vartk on the CPU",
            torch.cuda.get_device_name(),
        )
    return torch.device("cuda")
