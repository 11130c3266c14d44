"""The Frechet distance of two sets of features (Heusel et al. 2017, arXiv 1706.08500)."""

from __future__ import annotations

import torch

from .gathered import GatheredFeatures


class FrechetDistance(GatheredFeatures):
    """|mean difference|^2 + tr(A + B - 2 (A B)^(1/2)) for the covariances A and B.

    It shrinks as either set grows: compare numbers of the same two counts alone.
    """

    name = "fd"

    def distance(self, found_ND: torch.Tensor, reference_MD: torch.Tensor) -> torch.Tensor:
        """Return the distance, in squared units of the features."""
        A_DD, B_DD = found_ND.T.cov(), reference_MD.T.cov()
        values_D, vectors_DD = torch.linalg.eigh(A_DD)
        root_DD = (vectors_DD * values_D.clamp(min=0).sqrt()) @ vectors_DD.T
        # A^(1/2) B A^(1/2) has the eigenvalues of A B, and is symmetric: they are real
        product_D = torch.linalg.eigvalsh(root_DD @ B_DD @ root_DD).clamp(min=0)
        shift_D = found_ND.mean(0) - reference_MD.mean(0)
        return shift_D @ shift_D + A_DD.trace() + B_DD.trace() - 2 * product_D.sqrt().sum()
