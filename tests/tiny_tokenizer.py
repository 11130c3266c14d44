"""A tiny multi-scale VQVAE with any quantizer, trained on four images: for the tests of quantizers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from vartk_registry import discover
from vartk_registry.interfaces import Schedule

SCHEDULE = Schedule.of([2, 4, 8])


def build_tokenizer(
    plugin: str, name: str, params: Mapping[str, Any], latent: int = 8, **settings: Any
) -> Any:
    """Build the tokenizer for 32-pixel images; the quantizer is of the plugin `vartk_plugins.PLUGIN`."""
    registry = discover(["vartk_plugins.var_vqvae", f"vartk_plugins.{plugin}"]).registry
    size = {"channels": 32, "multipliers": [1, 1, 1], "blocks": 1, "attention": False, "latent": latent}
    torch.manual_seed(0)
    return registry.build(
        "tokenizer",
        "var_vqvae",
        size | settings,
        quantizer=lambda dim: registry.build("quantizer", name, params, dim=dim),
    )


def smooth_images() -> torch.Tensor:
    """Return four blurred patterns, [4, 3, 32, 32] in [-1, 1]."""
    coarse = torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return F.interpolate(coarse, size=32, mode="bilinear")


def train(tokenizer: Any, steps: int = 10) -> list[float]:
    """Train on the four images, and return the loss of each step."""
    images = smooth_images()
    optimizer = torch.optim.Adam(tokenizer.parameters(), lr=2e-3)
    tokenizer.train()
    losses = []
    for _ in range(steps):
        output = tokenizer(images, SCHEDULE)
        loss = F.mse_loss(output.images, images) + output.losses["vq"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
