"""Finite scalar quantisation (FSQ, arXiv 2309.15505).

Legend: N vectors, V classes, D dim.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import nn
from torch.nn import functional as F

from vartk_registry import VartkError
from vartk_registry.interfaces import CodeSpace, Quantized

_MARGIN = 1e-3
"""How far the bound lies beyond the outermost levels, so that these are reached."""


class FiniteScalarQuantizer(nn.Module):
    """Rounds channel i, bounded by a tanh, to one of levels[i] values; a code is their joint index.

    The values of L levels are multiples of 1 / floor(L / 2) in [-1, 1], 0 among them; in the index the
    first channel's change fastest. It has no weights: the tokenizer passes gradients straight through.
    Everything is computed in float32, autocast or not.

    Args:
        levels: the number of levels of each channel, at least 3.
        commitment: the weight of the commitment term.
        dim: the width of the vectors.

    Raises:
        VartkError: there are not as many levels as channels.
    """

    def __init__(self, *, levels: Sequence[int], commitment: float, dim: int) -> None:
        super().__init__()
        if len(levels) != dim:
            raise VartkError(
                f"quantizer 'fsq' has levels={list(levels)} for {len(levels)} channels, but the latent has "
                f"{dim}; take tokenizer.latent={len(levels)}, or a level for each of the {dim} channels"
            )
        self.space = CodeSpace(math.prod(levels))
        self.dim = dim
        self.levels = tuple(levels)
        self.commitment = commitment

    @torch.no_grad()
    def forward(self, vectors: torch.Tensor) -> Quantized:
        """Quantise [..., dim]; no gradient passes."""
        with torch.autocast(vectors.device.type, enabled=False):
            codes = self._codes(vectors.float())
        return Quantized(codes, self.embed(codes), penalty=torch.zeros((), device=vectors.device))

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the vectors [..., dim], in [-1, 1], of codes [...]."""
        levels_D, strides_D = _radix(self.levels, codes.device)
        half_D = levels_D // 2
        return ((codes[..., None] // strides_D) % levels_D - half_D) / half_D

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean vector [..., dim] under weights [..., classes]."""
        vectors_VD = self.embed(torch.arange(self.space.classes, device=weights.device))
        with torch.autocast(weights.device.type, enabled=False):
            return weights.float() @ vectors_VD

    def loss(self, features: torch.Tensor, approximation: torch.Tensor) -> torch.Tensor:
        """Return the approximation's error, for what lies behind the codes, plus the commitment term."""
        features, approximation = features.float(), approximation.float()
        error = F.mse_loss(approximation, features.detach())
        return error + self.commitment * F.mse_loss(features, approximation.detach())

    def _codes(self, vectors: torch.Tensor) -> torch.Tensor:
        levels_D, strides_D = _radix(self.levels, vectors.device)
        bound_D = (levels_D - 1) * (1 + _MARGIN) / 2
        # an even number of levels has no middle one: shifted by half a step, 0 still becomes 0
        # (the paper's listing has tan for atanh, which comes near)
        offset_D = (levels_D % 2 == 0) / 2
        bounded = (vectors + (offset_D / bound_D).atanh()).tanh() * bound_D - offset_D
        return ((bounded.round().long() + levels_D // 2) * strides_D).sum(dim=-1)


@torch.compiler.assume_constant_result  # torch's compiler would trace past the cache, and warn of it
def _radix(levels: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Return the levels and what a step of each is worth in the joint index, [2, D]."""
    return _made_once(levels, device)


@cache
def _made_once(levels: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Return `_radix`; a GPU would wait for each copy."""
    strides = [math.prod(levels[:channel]) for channel in range(len(levels))]
    return torch.tensor((levels, strides), device=device)
