"""Lookup-free (LFQ, arXiv 2310.05737) and binary spherical quantisation (BSQ, arXiv 2406.07548)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from vartk_registry.interfaces import CodeSpace, Quantized

from .entropy import entropy_penalty


class LookupFreeQuantizer(nn.Module):
    """The sign of each channel: a code is `dim` bits, each of which stands for -size or +size.

    It has no weights. Everything is computed in float32, autocast or not.

    Args:
        commitment: the weight of the commitment term.
        entropy: the weight of `entropy_penalty`.
        diversity, group: see there.
        temperature: the squared distance over which its choice of a code is soft.
        dim: the width of the vectors.
        size: half the distance between the two values of a channel.
    """

    def __init__(
        self,
        *,
        commitment: float,
        entropy: float,
        diversity: float,
        temperature: float,
        group: int,
        dim: int,
        size: float = 1.0,
    ) -> None:
        super().__init__()
        self.space = CodeSpace(2, (dim,))
        self.dim = dim
        self.size = size
        self.commitment = commitment
        self.entropy = entropy
        self.diversity = diversity
        self.temperature = temperature
        self.group = group

    def forward(self, vectors: torch.Tensor) -> Quantized:
        """Quantise [..., dim]; only the penalty, zero in evaluation mode, passes a gradient."""
        codes = (vectors.detach() > 0).long()
        penalised = self.training and self.entropy > 0
        penalty = self._penalty(vectors) if penalised else torch.zeros((), device=vectors.device)
        return Quantized(codes, self.embed(codes), penalty)

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the vectors [..., dim] of bits [..., dim]."""
        return self.size * (2 * codes - 1).float()

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean vector [..., dim] under weights [..., dim, 2]."""
        return self.size * (weights[..., 1].float() - weights[..., 0].float())

    def loss(self, features: torch.Tensor, approximation: torch.Tensor) -> torch.Tensor:
        """Return the approximation's error, for what lies behind the codes, plus the commitment term."""
        features, approximation = features.float(), approximation.float()
        error = F.mse_loss(approximation, features.detach())
        return error + self.commitment * F.mse_loss(features, approximation.detach())

    def _penalty(self, vectors: torch.Tensor) -> torch.Tensor:
        with torch.autocast(vectors.device.type, enabled=False):
            vectors_ND = self._compared(vectors.flatten(0, -2).float())
            # (|z + size|^2 - |z - size|^2) / temperature
            log_odds_ND = 4 * self.size / self.temperature * vectors_ND
            return self.entropy * entropy_penalty(log_odds_ND, self.group, self.diversity)

    def _compared(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        """Return what the penalty compares to the codes."""
        return vectors_ND


class BinarySphericalQuantizer(LookupFreeQuantizer):
    """The nearest corner of the cube in the unit sphere, of vectors that are projected onto it.

    The length of a vector changes no sign, so the projection is the penalty's alone; that takes all bits
    as independent of each other. The arguments are the fields of `BSQConfig`.
    """

    def __init__(
        self, *, commitment: float, entropy: float, diversity: float, temperature: float, dim: int
    ) -> None:
        super().__init__(
            commitment=commitment,
            entropy=entropy,
            diversity=diversity,
            temperature=temperature,
            group=1,
            dim=dim,
            size=dim**-0.5,
        )

    def _compared(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        # a vector of next to no length has no direction, and must not get a huge gradient
        return F.normalize(vectors_ND, dim=-1, eps=1e-4)
