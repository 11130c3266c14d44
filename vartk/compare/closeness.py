"""How close a way's images are to those of the first way."""

from __future__ import annotations

import torch

from vartk_registry.interfaces import Feature

from ..engine.model import Model
from ..engine.training.quality import SMALLEST_SSIM
from .sampling import Batch


class Closeness:
    """How close a way's images are to the first way's at the same labels and seeds."""

    def __init__(self, model: Model, feature: Feature | None) -> None:
        registry = model.plugins.registry
        self._device = model.device
        self._feature = feature
        self._psnr = registry.build("metric", "psnr", {})
        self._ssim = registry.build("metric", "ssim", {})
        self._has_ssim = False
        self._distances: list[torch.Tensor] = []
        self._codes = self._alike = self._equal = 0
        self._comparable = True
        self.count = 0

    @torch.no_grad()
    def update(self, batch: Batch, first: Batch) -> None:
        """Take a batch and the first way's; codes of scales that are skipped differ."""
        self.count += len(batch.images)
        shared = list(zip(batch.codes, first.codes, strict=False))
        self._comparable &= all(a.shape == b.shape for a, b in shared)
        if self._comparable:
            self._codes += sum(codes.numel() for codes in first.codes)
            self._alike += sum(int((a == b).sum()) for a, b in shared)
        images, expected = (of.images.to(self._device) / 255 for of in (batch, first))
        differ = (batch.images != first.images).flatten(1).any(dim=1)
        self._equal += int((~differ).sum())
        if differ.any():
            self._psnr.update(images[differ], expected[differ])
        if min(images.shape[-2:]) >= SMALLEST_SSIM:
            self._has_ssim = True
            self._ssim.update(images, expected)
        if self._feature is not None:
            self._distances.append(self._feature.distance(images, expected).cpu())

    def compute(self) -> dict[str, float | None]:
        """Return the shares that are equal, and the means over images; PSNR over those that differ."""
        numbers: dict[str, float | None] = {
            "codes_alike": self._alike / self._codes if self._comparable else None,
            "images_equal": self._equal / self.count,
            "psnr_db": None if self._equal == self.count else self._psnr.compute()["psnr_db"],
        }
        if self._has_ssim:
            numbers |= self._ssim.compute()
        if self._distances:
            numbers["perceptual"] = torch.cat(self._distances).mean().item()
        return numbers
