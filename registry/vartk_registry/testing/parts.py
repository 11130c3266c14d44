"""What components are checked with: a quantizer, latents and a cache that need no plugin."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ..caches import Measuring
from ..interfaces import CachePlan, CodeSpace, Grid, Quantized


class Codebook(nn.Module):
    """The smallest quantizer: the nearest entry of a random codebook (VQ-VAE, arXiv 1711.00937).

    Args:
        dim: width of the vectors.
        space: what a code is; a plain codebook, of shape ().
    """

    def __init__(self, dim: int = 4, space: CodeSpace = CodeSpace(8)) -> None:  # noqa: B008
        super().__init__()
        self.dim, self.space = dim, space
        self.entries = nn.Embedding(space.classes, dim)

    def forward(self, vectors: torch.Tensor) -> Quantized:
        """Return the nearest entries of vectors [..., dim]."""
        codes = torch.cdist(vectors.detach(), self.entries.weight).argmin(-1)
        return Quantized(codes, self.embed(codes), torch.zeros(()))

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the entries [..., dim] of codes [...]."""
        entries: torch.Tensor = self.entries(codes)
        return entries

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean entry [..., dim] under weights [..., classes]."""
        return weights @ self.entries.weight

    def loss(self, features: torch.Tensor, approximation: torch.Tensor) -> torch.Tensor:
        """Return the sum of the codebook loss and the commitment loss."""
        return F.mse_loss(approximation, features.detach()) + F.mse_loss(features, approximation)


class Averages(nn.Module):
    """The smallest tokenizer of continuous latents: the means of squares of 4 x 4 pixels."""

    channels = 3

    def latent_grid(self, image_size: Grid) -> Grid:
        """Return the number of squares (h, w) of an image."""
        return image_size[0] // 4, image_size[1] // 4

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the means [B, 3, h, w] of images."""
        return F.avg_pool2d(images, 4)

    def decode(self, f_hat: torch.Tensor) -> torch.Tensor:
        """Return images of squares of one colour."""
        return F.interpolate(f_hat, scale_factor=4).clamp(-1, 1)


class KeepAll(Measuring):
    """The lossless cache strategy: every key and value is kept."""

    def measure(self, plan: CachePlan, layer: int, step: int, q: torch.Tensor, k: torch.Tensor) -> None:
        """Measure nothing."""

    def parameters(self) -> dict[str, object]:
        """Return no parameters: nothing is measured."""
        return {}
