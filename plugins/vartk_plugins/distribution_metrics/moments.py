"""The mean and the covariance of vectors that come in batches."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

_ROWS = 4096
"""Vectors in float64 at once."""


@dataclass(slots=True)
class Moments:
    """Running moments in float64 of `count` vectors [D], merged batch by batch (Chan et al. 1979).

    Attributes:
        mean: [D].
        scatter: [D, D], the sum of the outer products of each vector's distance to the mean.
    """

    count: int = 0
    mean: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    scatter: torch.Tensor = field(default_factory=lambda: torch.zeros(0))

    @classmethod
    def known(cls, mean: torch.Tensor, covariance: torch.Tensor) -> Moments:
        """Return moments that were computed elsewhere, from an unknown number of vectors."""
        return cls(2, mean.double(), covariance.double())  # of two vectors, the scatter is the covariance

    @property
    def covariance(self) -> torch.Tensor:
        """The unbiased covariance [D, D] of two or more vectors."""
        return self.scatter / (self.count - 1)

    def add(self, x_ND: torch.Tensor) -> None:
        """Take more vectors [N, D], none included."""
        if self.count == 0 and len(x_ND):
            D = x_ND.shape[1]
            self.mean = torch.zeros(D, dtype=torch.float64)
            self.scatter = torch.zeros(D, D, dtype=torch.float64)
        for start in range(0, len(x_ND), _ROWS):
            rows = x_ND[start : start + _ROWS].double().cpu()
            mean, total = rows.mean(0), self.count + len(rows)
            centred, shift = rows - mean, mean - self.mean
            self.scatter += centred.T @ centred
            self.scatter += torch.outer(shift, shift) * (self.count * len(rows) / total)
            self.mean += shift * (len(rows) / total)
            self.count = total
