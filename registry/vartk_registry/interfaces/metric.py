"""Metrics: numbers about images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Metric(Protocol):
    """Component kind `metric`: accumulates over batches, then computes."""

    takes: str
    """What `update` is given: "images", as pairs, or "features", the pooled vectors of two sets of images."""

    def update(self, found: torch.Tensor, reference: torch.Tensor, /) -> None:
        """Take a batch and what it is compared with.

        Images are [B, 3, H, W] in [0, 1], as many in the reference. Features are [B, D] (see `Feature`);
        the two sets may differ in size, and either batch may be empty.
        """
        ...

    def compute(self) -> dict[str, float]:
        """Return the metric's numbers by name, units in the name where there is one."""
        ...
