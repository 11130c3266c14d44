"""LPIPS (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric")."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from vartk_registry import VartkError

SMALLEST = 64
"""Pixels: the side of the patches that the distance was learned on; smaller images are enlarged."""

FILES = {
    "vgg": "vgg16-397923af.pth",
    "alex": "alexnet-owt-7be5be79.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
"""The weights that torchvision downloads."""

_UNAVAILABLE = (OSError, RuntimeError, EOFError, pickle.UnpicklingError)
"""What the network raises, and a file that is cut off or something else."""


class Lpips(nn.Module):
    """Version 0.1 of the authors' weights.

    Args:
        net: "vgg", "alex" or "squeeze".

    Raises:
        VartkError: the network's weights are not there and cannot be downloaded.
    """

    def __init__(self, *, net: str) -> None:
        super().__init__()
        from lpips import LPIPS

        self.label = f"LPIPS-{net}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # lpips calls torchvision by its old arguments
                self.model = LPIPS(net=net, verbose=False)
        except _UNAVAILABLE as error:
            folder = Path(torch.hub.get_dir()) / "checkpoints"
            raise VartkError(
                f"the weights of lpips on {net} cannot be had: {error}. Download "
                f"https://download.pytorch.org/models/{FILES[net]} by hand and put it into {folder}, or "
                "choose feature elite0, whose weights come with a package"
            ) from error
        self.eval().requires_grad_(False)

    def distance(self, images: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return LPIPS [B] of images [B, 3, H, W] in [0, 1] and their reference."""
        return self.model(_large(images), _large(reference), normalize=True).flatten()

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Return the network's last map as a mean over its positions: [B, 512], of alex [B, 256]."""
        maps = self.model.net(self.model.scaling_layer(2 * _large(images) - 1))
        return maps[-1].mean((2, 3))


def _large(images: torch.Tensor) -> torch.Tensor:
    """Return float images whose shorter side has at least `SMALLEST` pixels."""
    h, w = images.shape[-2:]
    factor = SMALLEST / min(h, w)
    if factor <= 1:
        return images.float()
    return F.interpolate(images.float(), size=(round(h * factor), round(w * factor)), mode="bilinear")
