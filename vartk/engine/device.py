"""Devices by name."""

from __future__ import annotations

import torch

from vartk_registry import VartkError


def as_device(device: str | int | torch.device) -> torch.device:
    """Return a device that tensors can be put on; `VartkError` where it cannot be used here."""
    try:
        if not isinstance(device, (str, int, torch.device)) or isinstance(device, bool):
            raise RuntimeError("it is no device; give 'cpu', 'cuda' or 'cuda:N'")
        found = torch.device(device)
        if found.type == "meta":
            raise RuntimeError("it holds no data")
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise VartkError(f"device {str(device)!r} cannot be used here: {reason}") from error
    return found
