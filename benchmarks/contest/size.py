"""The models that both codes run, beside their depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Size:
    """A model's size.

    Args:
        channels: the tokenizer's width.
        sides: of the scales, in codes.
        classes: the number of class labels.
    """

    channels: int
    sides: tuple[int, ...]
    classes: int

    @property
    def tokens(self) -> int:
        """Codes of an image."""
        return sum(side**2 for side in self.sides)

    @property
    def pixels(self) -> int:
        """Side of an image: the tokenizer halves it four times."""
        return 16 * self.sides[-1]

    def labels(self, batch: int, device: torch.device) -> Tensor:
        """Return a class for each image, [batch]."""
        return torch.arange(batch, device=device) % self.classes

    def codes(self, batch: int, device: torch.device) -> Tensor:
        """Return random codes [batch, tokens], the same at every call."""
        generator = torch.Generator().manual_seed(0)
        return torch.randint(VOCABULARY, (batch, self.tokens), generator=generator).to(device)


VOCABULARY, LATENT = 4096, 32

GUIDANCE, TOP_K, TOP_P = 1.5, 900, 0.96
"""How both sample: vartk's defaults, and the original's for its evaluation."""

SIZES = {
    "published": Size(channels=160, sides=(1, 2, 3, 4, 5, 6, 8, 10, 13, 16), classes=1000),
    "tiny": Size(channels=32, sides=(1, 2, 3, 4), classes=10),
}
