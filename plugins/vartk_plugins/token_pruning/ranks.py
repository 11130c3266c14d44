"""The ratios of `fastervar`, measured: how many singular values the tokens need that enter a group of blocks.

Legend: B samples, n tokens of one scale, C width.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from vartk_registry import VartkError
from vartk_registry.caches import Measuring
from vartk_registry.interfaces import CachePlan


class RankCalibration(Measuring):
    """The ratio of each of the last scales and each group: a mean over samples.

    The ratio of a sample is the number of the largest singular values of its tokens [n, C], less their mean,
    whose squares hold the share `alpha` of all squares, divided by n.

    Args:
        scales, group, alpha: parameters of `FasterVar`.
        generated: which of these scales are; the ratios of the others stay 0.
    """

    def __init__(self, scales: int, group: int, alpha: float, generated: list[bool]) -> None:
        self._scales = scales
        self._group = group
        self._alpha = alpha
        self._generated = generated
        self._measured: dict[tuple[int, int], list[Tensor]] = {}

    def measure(self, plan: CachePlan, layer: int, step: int, q: Tensor, k: Tensor) -> None:
        """Attention is not measured."""

    def measure_tokens(self, plan: CachePlan, layer: int, step: int, x: Tensor) -> None:
        """Take in the tokens [B, n, C] that enter a group of blocks at one of the last scales."""
        scale = step - (len(plan.schedule) - self._scales)
        if scale >= 0 and layer % self._group == 0:
            ratios_B = needed(x, self._alpha) / x.shape[1]
            self._measured.setdefault((scale, layer // self._group), []).append(ratios_B.cpu())

    def parameters(self) -> dict[str, Any]:
        """Return the number of scales, the blocks of a group, and the ratios, rounded up to a thousandth.

        Raises:
            VartkError: nothing has been measured.
        """
        if not self._measured:
            raise VartkError(
                "cache 'fastervar': nothing was measured; sample images with a transformer that calls a "
                "cache's `enter` and `leave` around its blocks"
            )
        groups = 1 + max(group for _, group in self._measured)
        means = [
            [torch.cat(self._measured[scale, group]).mean().item() for group in range(groups)]
            for scale in range(self._scales)
        ]
        ratios = [
            [math.ceil(1000 * mean) / 1000 for mean in row] if generated else [0.0]
            for row, generated in zip(means, self._generated, strict=True)
        ]
        return {"scales": self._scales, "group": self._group, "ratios": ratios}


def needed(x_BnC: Tensor, alpha: float) -> Tensor:
    """Return how many singular values of x less its mean token hold a share of the squares, [B]."""
    centred_BnC = x_BnC.double() - x_BnC.double().mean(dim=1, keepdim=True)
    energy = torch.linalg.svdvals(centred_BnC).square().cumsum(dim=-1)
    return 1 + (energy < alpha * energy[:, -1:]).sum(dim=-1).double()
