"""The Frechet distance of two sets of vectors (Heusel et al. 2017, arXiv 1706.08500)."""

from __future__ import annotations

import torch

from vartk_registry import VartkError

from .gathered import finite, require_size
from .moments import Moments


class FrechetDistance:
    """|mean difference|^2 + tr(A + B - 2 (A B)^(1/2)) for the covariances A and B of features.

    It falls as either set grows: compare only numbers of the same two counts.
    """

    takes = "features"
    name = "fd"
    better = "lower"

    def __init__(self) -> None:
        self._found, self._reference = Moments(), Moments()

    def update(self, found: torch.Tensor, reference: torch.Tensor) -> None:
        """Take vectors [B, D] of either set; `VartkError` where one is not finite."""
        self._found.add(finite(self.name, found))
        self._reference.add(finite(self.name, reference))

    def use_reference(self, mean: torch.Tensor, covariance: torch.Tensor) -> None:
        """Take the mean [D] and the covariance [D, D] of a reference in place of its vectors."""
        self._reference = Moments.known(mean, covariance)

    def compute(self) -> dict[str, float]:
        """Return the distance, in squared units of the vectors; `VartkError` with fewer than two images."""
        found, reference = self._found, self._reference
        for each in (found, reference):
            require_size(self.name, each.count, 2)
        if found.mean.shape != reference.mean.shape:
            raise VartkError(
                f"{self.name}: the vectors of the images have {len(found.mean)} numbers, those of the "
                f"reference {len(reference.mean)}; compare vectors of one feature"
            )
        A_DD, B_DD = found.covariance, reference.covariance
        values_D, vectors_DD = torch.linalg.eigh(A_DD)
        root_DD = (vectors_DD * values_D.clamp(min=0).sqrt()) @ vectors_DD.T
        # A^(1/2) B A^(1/2) has the eigenvalues of A B, and is symmetric: they are real
        product_D = torch.linalg.eigvalsh(root_DD @ B_DD @ root_DD).clamp(min=0)
        shift_D = found.mean - reference.mean
        distance = shift_D @ shift_D + A_DD.trace() + B_DD.trace() - 2 * product_D.sqrt().sum()
        return {self.name: distance.item()}


class SpatialFrechetDistance(FrechetDistance):
    """The distance of spatial features, which see where things are (Nash et al. 2021, arXiv 2103.03841)."""

    takes = "spatial"
    name = "sfd"
