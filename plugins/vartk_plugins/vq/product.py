"""Product quantisation (TPAMI 2011, 10.1109/TPAMI.2010.57): each part of a vector has a codebook of its own.

Legend: P parts, V classes, D dim.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from vartk_registry import VartkError
from vartk_registry.interfaces import CodeSpace, Quantized

from .quantizer import VectorQuantizer


class ProductQuantizer(nn.Module):
    """Codes of P integers: the nearest entries of P codebooks [classes, dim / P] to the parts of a vector.

    It says as much as P tokens of a plain codebook in the place of one, so that a coarser grid, and a
    shorter sequence, hold the same image.

    Args:
        branches: P.
        classes, commitment, restart_below: of each codebook, see `VectorQuantizer`.
        dim: the width of the vectors.

    Raises:
        VartkError: a width that is no multiple of `branches`.
    """

    def __init__(
        self, *, branches: int, classes: int, commitment: float, restart_below: float, dim: int
    ) -> None:
        super().__init__()
        if dim % branches:
            raise VartkError(
                f"vectors of width {dim} cannot be cut into branches={branches} equal parts; "
                f"make the tokenizer's latent a multiple of {branches}"
            )
        self.space = CodeSpace(classes, (branches,))
        self.dim = dim
        self.commitment = commitment
        self.parts = nn.ModuleList(
            VectorQuantizer(
                classes=classes, commitment=commitment, restart_below=restart_below, dim=dim // branches
            )
            for _ in range(branches)
        )

    def forward(self, vectors: torch.Tensor) -> Quantized:
        """Quantise [..., dim]; each part as `VectorQuantizer` does."""
        parts = [part(piece) for part, piece in zip(self.parts, self._cut(vectors), strict=True)]
        return Quantized(
            codes=torch.stack([part.codes for part in parts], dim=-1),
            vectors=torch.cat([part.vectors for part in parts], dim=-1),
            penalty=torch.stack([part.penalty for part in parts]).sum(),
        )

    def fit(self, vectors: torch.Tensor, weights: torch.Tensor) -> None:
        """Fit each codebook to its parts of vectors [N, dim] with weights [N], as `VectorQuantizer`."""
        for part, piece in zip(self.parts, self._cut(vectors), strict=True):
            part.fit(piece, weights)

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the vectors [..., dim] of codes [..., P]."""
        pieces = [part.embed(own) for part, own in zip(self.parts, codes.unbind(-1), strict=True)]
        return torch.cat(pieces, dim=-1)

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean vector [..., dim] under weights [..., P, classes], the parts independent."""
        pieces = [part.mix(own) for part, own in zip(self.parts, weights.unbind(-2), strict=True)]
        return torch.cat(pieces, dim=-1)

    def loss(self, features: torch.Tensor, approximation: torch.Tensor) -> torch.Tensor:
        """Return the codebook term plus `commitment` times the commitment term, as `VectorQuantizer`."""
        features, approximation = features.float(), approximation.float()
        codebook = F.mse_loss(approximation, features.detach())
        return codebook + self.commitment * F.mse_loss(features, approximation.detach())

    def _cut(self, vectors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return vectors.chunk(len(self.parts), dim=-1)
