"""The kernel distance of two sets of features (Binkowski et al. 2018, arXiv 1801.01401)."""

from __future__ import annotations

import torch

from .gathered import GatheredVectors

_ROWS = 1024
"""Rows of a kernel matrix in memory at once."""


class KernelDistance(GatheredVectors):
    """The squared maximum mean discrepancy, unbiased, over all pairs, with the kernel (x.y / D + 1)^3.

    Its expectation does not depend on the counts; it may be a little below 0 where the sets are alike.
    """

    name = "kid"
    better = "lower"

    def compare(self, found_ND: torch.Tensor, reference_MD: torch.Tensor) -> dict[str, float]:
        """Return the squared discrepancy."""
        found_ND, reference_MD = found_ND.double(), reference_MD.double()
        between = _total(found_ND, reference_MD) / (len(found_ND) * len(reference_MD))
        return {self.name: (_within(found_ND) + _within(reference_MD) - 2 * between).item()}


def _within(x_ND: torch.Tensor) -> torch.Tensor:
    """Return the mean kernel of all pairs of different vectors of a set."""
    own = (x_ND.square().sum(1) / x_ND.shape[1] + 1) ** 3
    return (_total(x_ND, x_ND) - own.sum()) / (len(x_ND) * (len(x_ND) - 1))


def _total(x_ND: torch.Tensor, y_MD: torch.Tensor) -> torch.Tensor:
    """Return the sum of the kernel over all pairs."""
    return sum(((rows @ y_MD.T / x_ND.shape[1] + 1) ** 3).sum() for rows in x_ND.split(_ROWS))
