"""Vector quantisation (VQ-VAE, arXiv 1711.00937), searched by Euclidean distance or by angle.

Legend: N vectors, V classes, D dim.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from vartk_registry.interfaces import CodeSpace, Quantized

_SCORES_AT_ONCE = 2**26
"""How many scores the search holds at a time: 256 MiB of float32."""


class VectorQuantizer(nn.Module):
    """A codebook [classes, dim]; a vector's code is the nearest entry by Euclidean distance.

    Everything is computed in float32, autocast or not.

    Args:
        classes: entries of the codebook.
        commitment: beta, the weight of the commitment term.
        dim: the width of the vectors.
    """

    def __init__(self, *, classes: int, commitment: float, dim: int) -> None:
        super().__init__()
        self.space = CodeSpace(classes)
        self.dim = dim
        self.commitment = commitment
        self.codebook = nn.Embedding(classes, dim)
        # Entries of length about 1/4, the size of the residuals an untrained encoder leaves. Short
        # runs with 1024 entries then reach a code perplexity over 500; with lengths 1 or 4, or the
        # customary uniform +-1/classes, below 80, for a few entries win nearly every vector.
        nn.init.normal_(self.codebook.weight, std=0.25 * dim**-0.5)

    def forward(self, vectors: torch.Tensor) -> Quantized:
        """Quantise [..., dim]; the vectors carry a gradient to the codebook alone."""
        codes = self._nearest(vectors.detach().flatten(0, -2)).view(vectors.shape[:-1])
        return Quantized(codes, self.embed(codes), penalty=self.codebook.weight.new_zeros(()))

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the entries [..., dim] of codes [...]."""
        return self.codebook(codes)

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean entry [..., dim] under weights [..., classes]."""
        with torch.autocast(weights.device.type, enabled=False):
            return weights.float() @ self.codebook.weight

    def loss(self, features: torch.Tensor, approximation: torch.Tensor) -> torch.Tensor:
        """Return the codebook term plus `commitment` times the commitment term (eq. 3)."""
        features, approximation = features.float(), approximation.float()
        codebook = F.mse_loss(approximation, features.detach())
        return codebook + self.commitment * F.mse_loss(features, approximation.detach())

    def _nearest(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        rows = max(1, _SCORES_AT_ONCE // self.space.classes)
        with torch.autocast(vectors_ND.device.type, enabled=False):
            parts = vectors_ND.float().split(rows)
            return torch.cat([self._scores(part_ND).argmax(dim=-1) for part_ND in parts])

    def _scores(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        """Return how near each entry is, [N, V]: -||z - e||^2 / 2 less what is common to a row."""
        codebook_VD = self.codebook.weight
        lengths_V = codebook_VD.square().sum(dim=-1)
        return torch.addmm(lengths_V, vectors_ND, codebook_VD.T, beta=-0.5)


class CosineVectorQuantizer(VectorQuantizer):
    """A codebook whose entries are compared by direction; they are returned at their own length."""

    def _scores(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        # a vector's own length scales its whole row, and so changes no choice
        return vectors_ND @ F.normalize(self.codebook.weight, dim=-1).T
