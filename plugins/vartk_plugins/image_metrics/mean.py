"""A metric that is the mean of a number an image."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from vartk_registry import VartkError


class MeanOverImages(ABC):
    """Averages `score` over all images it was given, whatever the batches they came in."""

    takes = "images"
    name: str
    """What `compute` calls the number, with its unit."""

    def __init__(self) -> None:
        self._total = 0.0
        self._count = 0

    @abstractmethod
    def score(self, images: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return one number an image, [B], of float32 batches [B, 3, H, W] in [0, 1]."""

    @torch.no_grad()
    def update(self, images: torch.Tensor, reference: torch.Tensor) -> None:
        """Take a batch [B, 3, H, W] in [0, 1]; `VartkError` where the shapes differ."""
        if images.shape != reference.shape:
            raise VartkError(
                f"{self.name}: images {tuple(images.shape)} and reference "
                f"{tuple(reference.shape)} must have one shape"
            )
        self._total += self.score(images.float(), reference.float()).sum().item()
        self._count += len(images)

    def compute(self) -> dict[str, float]:
        """Return the mean by name; `VartkError` before the first image."""
        if not self._count:
            raise VartkError(f"{self.name}: there are no images to compute it from")
        return {self.name: self._total / self._count}
