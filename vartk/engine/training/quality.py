"""How good reconstructions are."""

from __future__ import annotations

import torch

from vartk_registry import Registry
from vartk_registry.interfaces import CodeSpace, Feature, Grid, TokenizerOutput

from ...config import NO_FEATURE, Slot
from .usage import CodeUsage

SMALLEST_SSIM = 11
"""Pixels: the window of SSIM; smaller images have none."""


class ReconstructionQuality:
    """PSNR, SSIM, the perceptual distance where there is a feature, and the use of the codes by scale.

    Args:
        space: what a code is.
        steps: the number of scales.
        size: (height, width) of the images.
    """

    def __init__(
        self, registry: Registry, space: CodeSpace, steps: int, size: Grid, feature: Feature | None = None
    ) -> None:
        names = ("psnr", "ssim") if min(size) >= SMALLEST_SSIM else ("psnr",)
        self._metrics = [registry.build("metric", name, {}) for name in names]
        self._usage = CodeUsage(space, steps)
        self._feature = feature
        self._distances: list[torch.Tensor] = []

    @torch.no_grad()
    def update(self, output: TokenizerOutput, images: torch.Tensor) -> None:
        """Take a batch of reconstructions, and the images [B, 3, H, W] in [-1, 1] that they are of."""
        made = output.images.float().clamp(-1, 1)
        with torch.autocast(images.device.type, enabled=False):  # the blur of SSIM is a convolution
            for metric in self._metrics:
                metric.update((made + 1) / 2, (images + 1) / 2)
        if self._feature is not None:
            self._distances.append(perceptual_distance(self._feature, made, images))
        self._usage.update(output.codes)

    def compute(self) -> dict[str, float]:
        """Return the means over images as `psnr_db`, `ssim` and `perceptual`, and what `CodeUsage` does."""
        numbers = {name: number for metric in self._metrics for name, number in metric.compute().items()}
        if self._distances:
            numbers["perceptual"] = torch.cat(self._distances).mean().item()
        return {**numbers, **self._usage.compute()}


def build_perceptual(slot: Slot, registry: Registry) -> Feature | None:
    """Build the feature of a perceptual loss; None where the slot names none."""
    return None if slot.name == NO_FEATURE else registry.build("feature", slot.name, slot.params)


def perceptual_distance(feature: Feature, made: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return the distance [B] of images in [-1, 1] to those they should equal, in float32.

    The feature must be on their device.
    """
    with torch.autocast(images.device.type, enabled=False):
        return feature.distance((made.float() + 1) / 2, (images.float() + 1) / 2)
