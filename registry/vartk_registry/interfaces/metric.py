"""Metrics: numbers about images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Metric(Protocol):
    """Component kind `metric`: accumulates over batches, then computes."""

    def update(self, images: torch.Tensor, reference: torch.Tensor) -> None:
        """Take a batch of images and what they are compared with, [B, 3, H, W] in [0, 1] each."""
        ...

    def compute(self) -> dict[str, float]:
        """Return the metric's numbers by name, units in the name where there is one."""
        ...
