"""A codebook that one linear map moves as a whole (SimVQ, arXiv 2411.02038).

Legend: V classes, D dim.
"""

from __future__ import annotations

import torch
from torch import nn

from .quantizer import VectorQuantizer


class SimVectorQuantizer(VectorQuantizer):
    """A fixed random codebook [classes, dim] times a learned square matrix; the nearest product wins.

    A gradient at one entry moves the matrix, and so all entries: none stays behind unused. The matrix begins
    as the identity. Everything is computed in float32, autocast or not.

    Args:
        classes: entries of the codebook.
        commitment: beta, the weight of the commitment term.
        dim: the width of the vectors.
    """

    def __init__(self, *, classes: int, commitment: float, dim: int) -> None:
        super().__init__(classes=classes, commitment=commitment, restart_below=0.0, dim=dim)
        self.codebook.weight.requires_grad_(False)
        self.map = nn.Linear(dim, dim, bias=False)
        nn.init.eye_(self.map.weight)

    @torch.no_grad()
    def fit(self, vectors: torch.Tensor, weights: torch.Tensor) -> None:
        """Make the codebook the centres of vectors, as `VectorQuantizer`, and the matrix the identity."""
        super().fit(vectors, weights)
        nn.init.eye_(self.map.weight)

    def entries(self) -> torch.Tensor:
        """Return the products [classes, dim]."""
        return self._mapped(self.codebook.weight)

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the entries [..., dim] of codes [...]."""
        return self._mapped(self.codebook(codes))

    def _mapped(self, vectors: torch.Tensor) -> torch.Tensor:
        with torch.autocast(vectors.device.type, enabled=False):
            return self.map(vectors)
