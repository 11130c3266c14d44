"""Parameters of DiT."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class DiT:
    """Parameters of `dit`."""

    depth: int = param(28, "number of blocks", low=1)
    heads: int = param(16, "attention heads of a block", low=1)
    head_dim: int = param(72, "width of a head; the width of a block is heads x head_dim", low=2)
    patch: int = param(2, "side of the squares of latent cells that are one token", low=1)
    noise_steps: int = param(1000, "steps of the noise schedule that it is trained on", low=1)
    scheduler: str = param(
        "ddim", "ddim, ddpm, dpm, unipc, euler, or the name of a scheduler class of diffusers"
    )
    steps: int = param(50, "steps of a generation", low=1)
    guidance: float = param(1.5, "scale of classifier-free guidance; 1 turns it off", low=0)
