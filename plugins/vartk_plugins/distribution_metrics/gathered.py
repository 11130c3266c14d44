"""A metric that needs all features of both sets at once."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from vartk_registry import VartkError, counted


class GatheredFeatures(ABC):
    """Keeps all features; D features, N of what is judged and M of the reference."""

    takes = "features"
    name: str
    """What `compute` calls the number."""

    def __init__(self) -> None:
        self._found: list[torch.Tensor] = []
        self._reference: list[torch.Tensor] = []

    def update(self, found: torch.Tensor, reference: torch.Tensor) -> None:
        """Take features [B, D] of either set; one of the two may be empty."""
        self._found.append(found.double().cpu())
        self._reference.append(reference.double().cpu())

    def compute(self) -> dict[str, float]:
        """Return the distance by name; `VartkError` where a set has fewer than two images."""
        sets = [torch.cat(parts) if parts else torch.empty(0) for parts in (self._found, self._reference)]
        for vectors in sets:
            if len(vectors) < 2:
                raise VartkError(
                    f"{self.name} needs at least 2 images a set, not {counted(len(vectors), 'image')}"
                )
        return {self.name: self.distance(*sets).item()}

    @abstractmethod
    def distance(self, found_ND: torch.Tensor, reference_MD: torch.Tensor) -> torch.Tensor:
        """Return the distance of two sets of features in float64, a scalar."""
