"""The metric `my-name`."""

import torch


class MyComponent:
    """The mean absolute error in levels of 8 bits.

    Args:
        border: pixels that are left out along each edge.
    """

    takes = "images"

    def __init__(self, *, border: int) -> None:
        self._border = border
        self._sum, self._count = 0.0, 0

    def update(self, found: torch.Tensor, reference: torch.Tensor) -> None:
        """Take images [B, 3, H, W] in [0, 1] and what they should be."""
        inside = (..., *(slice(self._border, side - self._border) for side in found.shape[-2:]))
        errors = 255 * (found[inside].double() - reference[inside].double()).abs()
        self._sum += errors.sum().item()
        self._count += errors.numel()

    def compute(self) -> dict[str, float]:
        """Return the mean over all pixels of all images."""
        return {"mae_levels": self._sum / self._count}
