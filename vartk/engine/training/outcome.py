"""What a step of training came to. Python learns it without waiting for the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step that the device may still be computing.

    Args:
        step: its number, from 1.
        values: its numbers by name: scalar tensors, and the learning rate.
        finite: a boolean tensor: whether the loss and its gradient were finite, so that the weights moved.
    """

    step: int
    values: dict[str, Any]
    finite: torch.Tensor

    def numbers(self) -> dict[str, float]:
        """Return the values as floats, copied from the device at once; this waits for it."""
        tensors = {name: value for name, value in self.values.items() if isinstance(value, torch.Tensor)}
        floats = torch.stack([value.float() for value in tensors.values()]).tolist()
        return {**self.values, **dict(zip(tensors, floats, strict=True))}


class Awaited:
    """The outcome of a step, whose `finite` is on its way to the CPU.

    To read `finite` does not wait for work that is given to the device afterwards.
    """

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._finite = outcome.finite.to("cpu", non_blocking=True)  # into pinned memory
        self._arrived: torch.cuda.Event | None = None
        if outcome.finite.device.type == "cuda":
            self._arrived = torch.cuda.Event()
            self._arrived.record(torch.cuda.current_stream(outcome.finite.device))

    @property
    def finite(self) -> bool:
        """Whether the loss and its gradient were finite."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return bool(self._finite)
