"""Discriminators: what tells images from reconstructions while a tokenizer is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Discriminator(Protocol):
    """Component kind `discriminator`, a `torch.nn.Module`.

    Parameters that require no gradient are frozen: they are neither trained nor saved in checkpoints,
    and parts that have no others stay in evaluation mode while the rest is trained.
    """

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits [B, ...] of images [B, 3, H, W] in about [-1, 1], for patches or tokens.

        High means real. An image's logits must not depend on the others of the batch, in training either.

        Raises:
            VartkError: images of a size that it cannot take.
        """
        ...
