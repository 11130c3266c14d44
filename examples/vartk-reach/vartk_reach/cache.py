"""The cache strategy `reach`, and its calibration.

Legend: B batch, n tokens of a scale, T of all that are attended to, H heads, D head dim.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vartk_registry import VartkError
from vartk_registry.caches import AllScales, AllTokens, Measuring
from vartk_registry.interfaces import CachePlan


@dataclass(frozen=True)
class ReachCache(AllScales):
    """Keeps in each layer as many of the newest scales as its attention reaches back.

    Args:
        layers: earlier scales that each layer keeps; without it, all keep everything.
        mass: share of the attention that calibration covers.
    """

    layers: Sequence[int]
    mass: float

    @property
    def lossless(self) -> bool:
        """Whether everything is kept."""
        return not self.layers

    def start(self, plan: CachePlan) -> "ReachState":
        """Return the state for a new generation."""
        if self.layers and len(self.layers) != plan.layers:
            raise VartkError(
                f"cache 'reach': layers has {len(self.layers)} numbers, the model {plan.layers} layers; "
                "measure them with `vartk calibrate MODEL cache=reach`"
            )
        return ReachState(self.layers or [len(plan.schedule)] * plan.layers)

    def calibration(self) -> "ReachCalibration":
        """Return a strategy that keeps everything and measures how far each layer reaches."""
        return ReachCalibration(self.mass)


class ReachState(AllTokens):
    """For each layer the kept scales, oldest first: keys and values [2, B, n, H, D]."""

    def __init__(self, reach: Sequence[int]) -> None:
        self._reach = reach
        self._held: list[list[torch.Tensor]] = [[] for _ in reach]

    def append(
        self, layer: int, step: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the kept keys and values with the scale's own, [B, T, H, D] each."""
        seen = [*self._held[layer], torch.stack((k, v))]
        self._held[layer] = seen[len(seen) - min(len(seen), self._reach[layer]) :]
        keys, values = torch.cat(seen, dim=2)
        return keys, values

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples; copies, for views would hold the memory of all."""
        self._held = [[kv[:, :batch].clone() for kv in scales] for scales in self._held]

    def nbytes(self) -> int:
        """Return the bytes of what is kept."""
        return sum(kv.nbytes for scales in self._held for kv in scales)


class ReachCalibration(Measuring):
    """How many of the newest scales have `mass` of the attention, in the mean over heads and queries."""

    def __init__(self, mass: float) -> None:
        self._mass = mass
        self._reach: dict[int, int] = {}

    def measure(self, plan: CachePlan, layer: int, step: int, q: torch.Tensor, k: torch.Tensor) -> None:
        """Take in a scale's queries [B, n, H, D] and all keys so far [B, T, H, D]."""
        scores = torch.einsum("bnhd,bthd->bhnt", q.float(), k.float()) * plan.scale
        weights = scores.softmax(dim=-1).mean(dim=(0, 1, 2))
        shares = [float(weights[start:stop].sum()) for start, stop in plan.schedule.spans[: step + 1]]
        covered, reach = shares[-1], 0
        while covered < self._mass and reach < step:
            reach += 1
            covered += shares[-1 - reach]
        self._reach[layer] = max(self._reach.get(layer, 0), reach)

    def parameters(self) -> dict[str, Any]:
        """Return the reach of each layer, the largest over all scales and samples."""
        if not self._reach:
            raise VartkError("cache 'reach': nothing was measured; sample images of two scales at least")
        return {"layers": [self._reach[layer] for layer in sorted(self._reach)]}
