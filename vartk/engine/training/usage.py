"""How much of its codes a tokenizer uses, scale by scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from vartk_registry.interfaces import CodeSpace


class CodeUsage:
    """Counts codes, whatever their shape: a code of several integers counts as one.

    Args:
        space: what a code is.
        steps: the number of scales.
    """

    def __init__(self, space: CodeSpace, steps: int) -> None:
        self._space = space
        self._seen: list[list[torch.Tensor]] = [[] for _ in range(steps)]

    def update(self, codes: Sequence[torch.Tensor]) -> None:
        """Take the codes of each scale [B, n, *shape] of a batch, which may have fewer scales."""
        for seen, scale in zip(self._seen, codes, strict=False):
            seen.append(scale.reshape(-1, *self._space.shape).cpu())

    def compute(self) -> dict[str, float]:
        """Return `usage` and `perplexity` over all scales, and `usage_k` and `perplexity_k` of scale k.

        The usage is the number of different codes over the number there could have been: all codes, or the
        tokens counted where these are fewer. The perplexity is the number of equally likely codes with the
        same entropy.
        """
        scales = [torch.cat(seen) for seen in self._seen if seen]
        found = {"": torch.cat(scales), **{f"_{k}": codes for k, codes in enumerate(scales)}}
        numbers = {}
        for name, codes in found.items():
            counts = codes.unique(dim=0, return_counts=True)[1].double()
            possible = min(len(codes), self._space.classes ** math.prod(self._space.shape))
            shares = counts / counts.sum()
            numbers[f"usage{name}"] = len(counts) / possible
            numbers[f"perplexity{name}"] = (-(shares * shares.log()).sum()).exp().item()
        return numbers
