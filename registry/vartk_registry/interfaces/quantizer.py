"""Quantizers: vectors to codes and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class CodeSpace:
    """What one code is, an array of `shape` integers in [0, classes); its logits, and their loss.

    A plain codebook has shape () and one class per entry; a bitwise quantizer shape (bits,) and two
    classes; product quantisation shape (branches,). Logits over codes have shape [..., *shape, classes],
    so samplers and cross-entropy work on the last axis whatever the quantizer.
    """

    classes: int
    shape: tuple[int, ...] = ()

    @property
    def logits_shape(self) -> tuple[int, ...]:
        """The trailing shape of logits over one code."""
        return (*self.shape, self.classes)

    @property
    def width(self) -> int:
        """The number of logits for one code."""
        return math.prod(self.logits_shape)

    def loss(self, logits: torch.Tensor, codes: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
        """Return the cross entropy [...], float32, of logits [..., *shape, classes] for codes [..., *shape].

        It is the mean over a code's integers, which keeps losses comparable between quantizers;
        `smoothing` in [0, 1] is the label smoothing.
        """
        from torch.nn.functional import cross_entropy

        flat = logits.flatten(0, -2).float()
        losses = cross_entropy(flat, codes.flatten(), label_smoothing=smoothing, reduction="none")
        return losses.view(*codes.shape[: codes.ndim - len(self.shape)], -1).mean(-1)


@dataclass(frozen=True, slots=True)
class Quantized:
    """A batch of vectors after quantisation.

    Attributes:
        codes: [..., *space.shape] int64.
        vectors: [..., dim], what the codes stand for; no gradient passes to the input, unless they are
            differentiable.
        penalty: scalar, the quantizer's own regulariser (an entropy term, say); zero where it has none.
        differentiable: whether the vectors pass a gradient to the input themselves, which a quantizer may do
            in training mode. A tokenizer then passes the decoder's gradient to the vectors, and not straight
            through to the latent.
    """

    codes: torch.Tensor
    vectors: torch.Tensor
    penalty: torch.Tensor
    differentiable: bool = False


@runtime_checkable
class Quantizer(Protocol):
    """Component kind `quantizer`, a `torch.nn.Module`; built with `dim`, the width of its vectors."""

    space: CodeSpace
    dim: int

    def __call__(self, vectors: torch.Tensor) -> Quantized:
        """Quantise [..., dim] float32 vectors; in training mode this may also update the codebook."""
        ...

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the vectors [..., dim] that codes [..., *space.shape] stand for."""
        ...

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean vector [..., dim] under weights [..., *space.shape, classes] that sum to 1."""
        ...

    def loss(self, features: torch.Tensor, approximation: torch.Tensor) -> torch.Tensor:
        """Return the scalar loss of approximating `features` (same shape, any layout) by codes.

        For VQ: codebook and commitment terms (VQ-VAE, arXiv 1711.00937, eq. 3).
        """
        ...


@runtime_checkable
class FittedQuantizer(Quantizer, Protocol):
    """A quantizer whose codebook can begin with the centres of vectors that are to be quantised."""

    def fit(self, vectors: torch.Tensor, weights: torch.Tensor) -> None:
        """Fit the codebook to vectors [N, dim] with weights [N] above 0, before training.

        The result depends on these alone, and on no random state.
        """
        ...


@runtime_checkable
class RestartingQuantizer(Quantizer, Protocol):
    """A quantizer that can replace unused entries of its codebook by vectors of a call in training."""

    restarting: bool
    """Whether the calls that follow may replace entries; a tokenizer sets it for each scale."""
