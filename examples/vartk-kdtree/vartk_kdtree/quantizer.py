"""The quantizer `kdtree`."""

import torch
from scipy.spatial import cKDTree
from torch import nn
from torch.nn import functional as F

from vartk_registry.interfaces import CodeSpace, Quantized


class KdtreeQuantizer(nn.Module):
    """A codebook whose nearest entry is found in a k-d tree (Friedman et al. 1977).

    The tree needs about log(classes) comparisons where a matrix of distances needs `classes`. That pays
    off on a CPU, for vectors of few dimensions and large codebooks. The tree is made again after each
    change of the codebook.

    Args:
        dim: width of the vectors.
        classes: number of entries.
        commitment: weight of the term that pulls features to their entries.
    """

    def __init__(self, *, dim: int, classes: int, commitment: float) -> None:
        super().__init__()
        self.dim, self.space = dim, CodeSpace(classes)
        self.commitment = commitment
        self.entries = nn.Embedding(classes, dim)
        self._tree: cKDTree | None = None
        self._version = -1

    def forward(self, vectors: torch.Tensor) -> Quantized:
        """Quantise vectors [..., dim]."""
        flat = vectors.detach().flatten(0, -2).float().cpu().numpy()
        _, nearest = self._searched().query(flat)
        codes = torch.from_numpy(nearest).long().view(vectors.shape[:-1]).to(vectors.device)
        return Quantized(codes, self.embed(codes), vectors.new_zeros(()))

    def _searched(self) -> cKDTree:
        """Return the tree of the entries as they are now."""
        version = self.entries.weight._version  # torch counts the changes of a tensor in place
        if self._tree is None or version != self._version:
            self._tree = cKDTree(self.entries.weight.detach().float().cpu().numpy())
            self._version = version
        return self._tree

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the entries [..., dim] of codes [...]."""
        return self.entries(codes)

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean entry [..., dim] under weights [..., classes]."""
        return weights @ self.entries.weight

    def loss(self, features: torch.Tensor, approximation: torch.Tensor) -> torch.Tensor:
        """Return the codebook loss and the weighted commitment loss (VQ-VAE, arXiv 1711.00937, eq. 3)."""
        committed = F.mse_loss(features, approximation.detach())
        return F.mse_loss(approximation, features.detach()) + self.commitment * committed
