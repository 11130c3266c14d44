"""A metric that needs all vectors of both sets at once."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from vartk_registry import VartkError, counted


class GatheredVectors(ABC):
    """Keeps all vectors; D numbers each, N of what is judged and M of the reference.

    Attributes:
        takes: the kind of vectors.
        name: what messages call the metric.
        smallest: images that a set needs.
    """

    takes = "features"
    name: str
    smallest = 2

    def __init__(self) -> None:
        self._found: list[torch.Tensor] = []
        self._reference: list[torch.Tensor] = []

    def update(self, found: torch.Tensor, reference: torch.Tensor) -> None:
        """Take vectors [B, D] of either set; one of the two may be empty.

        Raises:
            VartkError: a vector is not finite.
        """
        self._found.append(finite(self.name, found).cpu())
        self._reference.append(finite(self.name, reference).cpu())

    def compute(self) -> dict[str, float]:
        """Return the numbers by name; `VartkError` where a set has too few images."""
        sets = [torch.cat(parts) if parts else torch.empty(0) for parts in (self._found, self._reference)]
        for vectors in sets:
            require_size(self.name, len(vectors), self.smallest)
        return self.compare(*sets)

    @abstractmethod
    def compare(self, found_ND: torch.Tensor, reference_MD: torch.Tensor) -> dict[str, float]:
        """Return the numbers of two sets of vectors, by name."""


def finite(name: str, vectors: torch.Tensor) -> torch.Tensor:
    """Return vectors [B, D]; `VartkError` where one holds NaN or an infinity."""
    broken = int((~vectors.isfinite()).any(dim=-1).sum())
    if broken:
        raise VartkError(
            f"{name}: the vectors of {counted(broken, 'image')} of {len(vectors)} have values that are not "
            "finite; look for black or broken images, or compute the feature in fp32"
        )
    return vectors


def require_size(name: str, count: int, smallest: int) -> None:
    """Raise `VartkError` where a set has fewer images than a metric needs."""
    if count < smallest:
        raise VartkError(f"{name} needs at least {smallest} images a set, not {counted(count, 'image')}")
