"""Metrics: numbers about images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Metric(Protocol):
    """Component kind `metric`: accumulates over batches, then computes.

    An attribute `better`, "lower" or "higher", says which values are better; without it lower ones are.
    """

    takes: str
    """What `update` is given: "images", as pairs, or the vectors of two sets of images: "features", the
    pooled ones that every feature gives, or "logits" or "spatial" ones (see `VectorFeature`)."""

    def update(self, found: torch.Tensor, reference: torch.Tensor, /) -> None:
        """Take a batch and what it is compared with.

        Images are [B, 3, H, W] in [0, 1], as many in the reference. Vectors are [B, D]; the two sets may
        differ in size, and either batch may be empty.
        """
        ...

    def compute(self) -> dict[str, float]:
        """Return the metric's numbers by name, units in the name where there is one."""
        ...


@runtime_checkable
class MomentsMetric(Metric, Protocol):
    """A metric of vectors that needs only the mean and the covariance of the reference.

    Published reference files hold these of far more images than they contain.
    """

    def use_reference(self, mean: torch.Tensor, covariance: torch.Tensor) -> None:
        """Take the mean [D] and the covariance [D, D] in place of all vectors of the reference."""
        ...


@runtime_checkable
class SingleSetMetric(Metric, Protocol):
    """A metric of one set alone: the reference of `update` may be empty in every call."""

    single: bool
    """True; a metric of two sets does not have this attribute."""
