"""A discriminator of DINO's features (VAR's tokenizer; StyleGAN-T, arXiv 2301.09515, section 3.2).

Legend: B batch, C width of the features, L patch tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from vartk_registry import VartkError

BACKBONE = "vit_small_patch16_224.dino"
"""timm's name of the network, from arXiv 2104.14294."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, as DINO was trained on."""


def build_dino(*, blocks: Sequence[int], kernel: int) -> FeatureDiscriminator:
    """Return a discriminator on the pretrained network; the arguments are the fields of `DinoConfig`.

    Raises:
        VartkError: the weights can be neither found nor downloaded; a block that there is not.
    """
    import timm

    try:
        backbone = timm.create_model(BACKBONE, pretrained=True, num_classes=0)
    except Exception as error:  # of any library that timm downloads with
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise VartkError(
            f"the weights of {BACKBONE}, which discriminator 'dino' needs, cannot be had: {reason}; connect "
            "to huggingface.co once, which keeps them, or take train.tokenizer.adversarial=patch"
        ) from error
    return FeatureDiscriminator(backbone, blocks=blocks, kernel=kernel)


class FeatureDiscriminator(nn.Module):
    """Heads on the tokens that some blocks of a frozen vision transformer give.

    Args:
        backbone: one of timm's vision transformers for square images.
        blocks: those whose outputs are judged.
        kernel: tokens that a head's second convolution spans.

    Raises:
        VartkError: a block that there is not, or that is there twice, or an even kernel.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, backbone: Any, *, blocks: Sequence[int], kernel: int) -> None:
        super().__init__()
        depth = len(backbone.blocks)
        if not blocks or not all(0 <= block < depth for block in blocks):
            raise VartkError(f"blocks={list(blocks)} must be some of 0 to {depth - 1}, such as [{depth - 1}]")
        if len(set(blocks)) < len(blocks):
            raise VartkError(f"blocks={list(blocks)} has a block twice; type each once")
        if kernel % 2 == 0:
            raise VartkError(f"kernel={kernel} must be odd, such as {kernel + 1}")
        self.backbone = backbone.requires_grad_(False)
        self.blocks = list(blocks)
        self.heads = nn.ModuleList(Head(backbone.embed_dim, kernel) for _ in blocks)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits [B, heads * L] of images [B, 3, H, W], which are resized to the backbone's."""
        scaled = ((images + 1) / 2 - self.mean) / self.std
        size = self.backbone.patch_embed.img_size
        if tuple(images.shape[-2:]) != size:
            scaled = F.interpolate(scaled, size=size, mode="bilinear", antialias=True)
        features = self.backbone.forward_intermediates(
            scaled, indices=self.blocks, output_fmt="NLC", intermediates_only=True
        )
        by_block = dict(zip(sorted(self.blocks), features, strict=True))
        return torch.cat(
            [head(by_block[block]) for head, block in zip(self.heads, self.blocks, strict=True)], dim=1
        )


class Head(nn.Module):
    """One-dimensional convolutions along the tokens: to a logit for each."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.first = _conv(width, width, 1)
        self.second = _conv(width, width, kernel)
        self.last = spectral_norm(nn.Conv1d(width, 1, kernel_size=1))

    def forward(self, tokens_BLC: torch.Tensor) -> torch.Tensor:
        """Return the logits [B, L]."""
        h_BCL = self.first(tokens_BLC.mT)
        # the mean of both is of the size of one
        h_BCL = (h_BCL + self.second(h_BCL)) * 0.5**0.5
        return self.last(h_BCL).squeeze(1)


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    # group norm, for an image's logits must not depend on the others of its batch
    convolution = nn.Conv1d(inputs, outputs, kernel_size=kernel, padding=kernel // 2, padding_mode="circular")
    return nn.Sequential(spectral_norm(convolution), nn.GroupNorm(1, outputs), nn.LeakyReLU(0.2))
