"""Parameters of the multi-scale VQVAE; the defaults are VAR's released tokenizer."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class VQVAEConfig:
    """Parameters of `var_vqvae`."""

    channels: int = param(160, "base width of the convolutions; a multiple of 32", low=32)
    multipliers: list[int] = param(
        [1, 1, 2, 2, 4],
        "width of each level over `channels`; each level but the last halves the image",
    )
    blocks: int = param(2, "residual blocks per level of the encoder; the decoder has one more", low=1)
    latent: int = param(32, "channels of the latent, which is the dim of the quantizer", low=1)
    dropout: float = param(0.0, "dropout in the residual blocks", low=0, high=1)
    attention: bool = param(True, "self-attention at the last level and in the middle")
    phi: int = param(
        4,
        "convolutions after upsampling, shared by neighbouring scales: 1 serves all scales, as "
        "many as the schedule has scales give each its own",
        low=1,
    )
    phi_ratio: float = param(0.5, "share r of the convolution: phi(h) = (1 - r) h + r conv(h)", low=0, high=1)
    scale_dropout: float = param(
        0.0, "share of the training images that lose their finest scales; XQ-GAN takes 0.1", low=0, high=1
    )
    scale_keep: int = param(3, "scales that `scale_dropout` never takes, the coarsest ones", low=1)
