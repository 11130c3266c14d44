"""The quantizer `my-name`."""

import torch
from torch import nn
from torch.nn import functional as F

from vartk_registry.interfaces import CodeSpace, Quantized


class MyComponent(nn.Module):
    """The nearest entry of a codebook, which its own loss trains (VQ-VAE, arXiv 1711.00937).

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

    def forward(self, vectors: torch.Tensor) -> Quantized:
        """Quantise vectors [..., dim]."""
        codes = torch.cdist(vectors.detach(), self.entries.weight).argmin(dim=-1)
        return Quantized(codes, self.embed(codes), vectors.new_zeros(()))

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the entries [..., dim] of codes [...]."""
        return self.entries(codes)

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean entry [..., dim] under weights [..., classes]."""
        return weights @ self.entries.weight

    def loss(self, features: torch.Tensor, approximation: torch.Tensor) -> torch.Tensor:
        """Return the codebook loss and the weighted commitment loss (equation 3 of the paper)."""
        committed = F.mse_loss(features, approximation.detach())
        return F.mse_loss(approximation, features.detach()) + self.commitment * committed
