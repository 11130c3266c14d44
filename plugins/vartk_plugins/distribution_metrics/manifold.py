"""Metrics of manifolds, the balls around each image that reach to its k-th nearest neighbour."""

from __future__ import annotations

import torch

from .gathered import GatheredVectors

_ROWS = 512
"""Rows of a matrix of distances in memory at once."""


class PrecisionRecall(GatheredVectors):
    """Shares of images inside the other set's balls, k = 3 (Kynkaanniemi et al. 2019, arXiv 1904.06991).

    Precision is the share of images inside the reference's manifold, recall that of the reference inside
    the images'. Both depend on the counts.
    """

    name = "precision_recall"
    better = "higher"
    smallest = 4
    k = 3

    def compare(self, found_ND: torch.Tensor, reference_MD: torch.Tensor) -> dict[str, float]:
        """Return `precision` and `recall`, from 0 to 1."""
        found, reference = _centred(found_ND, reference_MD)
        return {
            "precision": _inside(found, reference, _radii(reference, self.k)),
            "recall": _inside(reference, found, _radii(found, self.k)),
        }


class DensityCoverage(GatheredVectors):
    """Density and coverage with the reference's balls, k = 5 (Naeem et al. 2020, arXiv 2002.09797).

    Density is the mean number of balls that an image lies in, divided by k; it may be above 1. Coverage is
    the share of balls with an image in them.
    """

    name = "density_coverage"
    better = "higher"
    smallest = 6
    k = 5

    def compare(self, found_ND: torch.Tensor, reference_MD: torch.Tensor) -> dict[str, float]:
        """Return `density`, at least 0, and `coverage`, from 0 to 1."""
        found, reference = _centred(found_ND, reference_MD)
        inside, covered = 0, torch.zeros(len(reference), dtype=torch.bool)
        radii_M = _radii(reference, self.k)
        for rows in found.split(_ROWS):
            hits = torch.cdist(rows, reference) < radii_M
            inside += int(hits.sum())
            covered |= hits.any(dim=0)
        return {"density": inside / (self.k * len(found)), "coverage": covered.double().mean().item()}


def _centred(found_ND: torch.Tensor, reference_MD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both sets in float64 around 0, where `cdist` loses no digits; equal vectors stay equal."""
    centre_D = reference_MD.mean(0, dtype=torch.float64)
    # in place, for 50,000 vectors of 2048 numbers are 0.8 GB
    found, reference = (each.to(torch.float64, copy=True).sub_(centre_D) for each in (found_ND, reference_MD))
    return found, reference


def _radii(x_ND: torch.Tensor, k: int) -> torch.Tensor:
    """Return the distance of each vector to its k-th nearest neighbour, [N]; the nearest is itself."""
    return torch.cat([torch.cdist(rows, x_ND).kthvalue(k + 1).values for rows in x_ND.split(_ROWS)])


def _inside(x_ND: torch.Tensor, y_MD: torch.Tensor, radii_M: torch.Tensor) -> float:
    """Return the share of the vectors x that lie in a ball around one of y."""
    parts = [(torch.cdist(rows, y_MD) <= radii_M).any(dim=1) for rows in x_ND.split(_ROWS)]
    return torch.cat(parts).double().mean().item()
