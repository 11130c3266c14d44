"""An encoder without files, a random vector for each word, to measure models of random weights with."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class RandomWords:
    """Words are tokens; the same word has the same vector in any text.

    Args:
        width: of the vectors.
        length: the number of tokens that it takes.
    """

    width: int
    length: int = 512

    def info(self) -> dict[str, Any]:
        """Return which encoder it is."""
        return {"encoder": "random"}

    def ids(self, text: str, length: int) -> list[int]:
        """Return a number for each of the first `length` words."""
        return [zlib.crc32(word.encode()) for word in text.split()[:length]]

    def count(self, text: str) -> int:
        """Return the number of words."""
        return len(text.split())

    def features(self, texts: list[list[int]], device: torch.device) -> list[Tensor]:
        """Return normally distributed vectors [N, T] of texts by their ids."""
        return [torch.stack([self._vector(word) for word in text]).to(device) for text in texts]

    def _vector(self, word: int) -> Tensor:
        return torch.randn(self.width, generator=torch.Generator().manual_seed(word))
