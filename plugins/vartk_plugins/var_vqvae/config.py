"""Parameters of the tokenizers; the defaults are the released ones of VAR and Infinity."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class ResidualConfig:
    """What both have."""

    blocks: int = param(
        2, "residual blocks per level of the encoder; the decoder has one more per level", low=1
    )
    latent: int = param(32, "channels of the latent, and so the dimension of the quantizer", low=1)
    dropout: float = param(0.0, "dropout in the residual blocks", low=0, high=1)
    gradient: str = param(
        "straight",
        "how the decoder's gradient passes the quantisation: straight, unchanged; rotation, rotated and "
        "rescaled as the latent is (the rotation trick)",
        choices=("straight", "rotation"),
    )
    restart_scales: int = param(
        0,
        "number of coarsest scales whose vectors replace unused entries of the codebook, where the quantizer "
        "restarts them (`restart_below`); 0 for all scales",
        low=0,
    )
    scale_dropout: float = param(
        0.0, "share of the training images that lose their finest scales; XQ-GAN uses 0.1", low=0, high=1
    )
    scale_keep: int = param(3, "number of coarsest scales that `scale_dropout` never removes", low=1)


@dataclass(kw_only=True, slots=True)
class VQVAEConfig(ResidualConfig):
    """Parameters of `var_vqvae`."""

    channels: int = param(160, "base width of the convolutions; a multiple of 32", low=32)
    multipliers: list[int] = param(
        [1, 1, 2, 2, 4],
        "width of each level, as a multiple of `channels`; each level except the last halves the image",
    )
    attention: bool = param(True, "self-attention at the last level and in the middle")
    phi: int = param(
        4,
        "number of convolutions after upsampling, shared by neighbouring scales: 1 serves all scales; "
        "the number of scales gives each scale its own",
        low=1,
    )
    phi_ratio: float = param(0.5, "share r of the convolution: phi(h) = (1 - r) h + r conv(h)", low=0, high=1)


@dataclass(kw_only=True, slots=True)
class BSQVAEConfig(ResidualConfig):
    """Parameters of `bsq_vae`."""

    channels: int = param(128, "base width of the convolutions; a multiple of 32", low=32)
    multipliers: list[int] = param(
        [1, 2, 4, 4, 4],
        "width of each level, as a multiple of `channels`; each level except the last halves the image",
    )
