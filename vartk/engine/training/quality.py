"""How good reconstructions are."""

from __future__ import annotations

import torch

from vartk_registry import Registry
from vartk_registry.interfaces import CodeSpace, Feature, Grid, TokenizerOutput

from ...config import NO_FEATURE, Slot
from .usage import CodeUsage

SMALLEST_SSIM = 11
"""Pixels: the window of SSIM; smaller images have none."""


class ImageQuality:
    """PSNR, SSIM, and the perceptual distance where there is a feature, as means over images.

    Args:
        size: (height, width) of the images.
    """

    def __init__(self, registry: Registry, size: Grid, feature: Feature | None = None) -> None:
        names = ("psnr", "ssim") if min(size) >= SMALLEST_SSIM else ("psnr",)
        self._metrics = [registry.build("metric", name, {}) for name in names]
        self._feature = feature
        self._distances: list[torch.Tensor] = []

    @torch.no_grad()
    def update(self, made: torch.Tensor, images: torch.Tensor) -> None:
        """Take a batch [B, 3, H, W] in about [-1, 1], and the images in [-1, 1] that it should equal."""
        made = made.float().clamp(-1, 1)
        with torch.autocast(images.device.type, enabled=False):  # the blur of SSIM is a convolution
            for metric in self._metrics:
                metric.update((made + 1) / 2, (images + 1) / 2)
        if self._feature is not None:
            self._distances.append(perceptual_distance(self._feature, made, images))

    def compute(self) -> dict[str, float]:
        """Return the means as `psnr_db`, `ssim` and `perceptual`, those that there are."""
        numbers = {name: number for metric in self._metrics for name, number in metric.compute().items()}
        if self._distances:
            numbers["perceptual"] = torch.cat(self._distances).mean().item()
        return numbers


class ReconstructionQuality:
    """The quality of reconstructed images, and the use of the codes by scale.

    Args:
        space: what a code is.
        steps: the number of scales.
        size, feature: as for `ImageQuality`.
    """

    def __init__(
        self, registry: Registry, space: CodeSpace, steps: int, size: Grid, feature: Feature | None = None
    ) -> None:
        self._images = ImageQuality(registry, size, feature)
        self._usage = CodeUsage(space, steps)

    @torch.no_grad()
    def update(self, output: TokenizerOutput, images: torch.Tensor) -> None:
        """Take a batch of reconstructions, and the images [B, 3, H, W] in [-1, 1] that they are of."""
        self._images.update(output.images, images)
        self._usage.update(output.codes)

    def compute(self) -> dict[str, float]:
        """Return what `ImageQuality` and `CodeUsage` do."""
        return {**self._images.compute(), **self._usage.compute()}


def build_perceptual(slot: Slot, registry: Registry) -> Feature | None:
    """Build the feature of a perceptual loss; None where the slot names none."""
    return None if slot.name == NO_FEATURE else registry.build("feature", slot.name, slot.params)


def perceptual_distance(feature: Feature, made: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return the distance [B] of images in [-1, 1] to those they should equal, in float32.

    The feature must be on their device.
    """
    with torch.autocast(images.device.type, enabled=False):
        return feature.distance((made.float() + 1) / 2, (images.float() + 1) / 2)
