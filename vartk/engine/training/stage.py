"""What the training loop needs of a stage of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from ...config import StageConfig
from ..distributed import ALONE, World
from .adversary import Adversary
from .judge import Judge

VALIDATED_AT_ONCE = 32
"""Images of a validation that are computed at once: a batch may be many processes' share."""


class Stage(Protocol):
    """One of the trainings that the loop can do."""

    name: str
    module: nn.Module
    """What is trained; with the attribute `frozen_elsewhere`, checkpoints leave its frozen weights out, which
    it has from another model."""
    parallel: str
    """How several processes share the module: "ddp" or "fsdp" (see `Parallel`)."""
    opponent: Adversary | None
    """What is trained against the module, a step of its own after each of the module's."""

    shares: Mapping[str, float]
    """By the names of weights, their learning rate as a share of the others'; 1 where there is none."""

    judge: Judge | None
    """Who measures samples in a validation and so finds the best model; only of a transformer."""

    @property
    def train(self) -> StageConfig:
        """How it is trained."""
        ...

    def prepare(self, device: torch.device, *, compiled: bool) -> None:
        """Get ready for a training on a device, before anything is made of the module's weights.

        Args:
            compiled: whether the module is compiled with torch.compile; then the rest of `loss` is, too.
        """
        ...

    def batches(self, start: int, device: torch.device, world: World = ALONE) -> Iterator[Any]:
        """Yield a process's share of each step's batch, from `start` on.

        A tensor [B, ...], or a tuple of them and of what holds for the whole batch.
        """
        ...

    def loss(self, module: nn.Module, batch: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the scalar to descend, a mean over the batch, and numbers to report."""
        ...

    def validate(self, module: nn.Module, device: torch.device) -> dict[str, float]:
        """Return numbers about held-out data; none where there is no such data."""
        ...

    def preview(self, module: nn.Module, device: torch.device) -> torch.Tensor:
        """Return a picture [3, H, W] in [0, 1] that shows what the model can do."""
        ...

    def export(self, weights: Mapping[str, torch.Tensor], folder: Path) -> None:
        """Write the model folder."""
        ...
