"""The pooled vector of a text by layers of its own, which can start from the vectors of classes.

Legend: M texts, T width of the encoder's features, C width of the conditions.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEPS, BATCH, RATE, DECAY = 2000, 256, 5e-3, 1e-2
"""Of the fit: steps, texts a step, peak learning rate and weight decay of AdamW."""


class Pooled(nn.Module):
    """Two layers on the mean of a text's features, and a learned vector for no text."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, 4 * width)
        self.out = nn.Linear(4 * width, width)
        self.null = nn.Parameter(torch.empty(width))
        nn.init.trunc_normal_(self.null, std=1 / math.sqrt(width))

    def forward(self, mean_BT: Tensor, null_B: Tensor) -> Tensor:
        """Return the vectors [B, C] of mean features; `null_B` is true where there is no text."""
        return torch.where(null_B[:, None], self.null, self._vectors(mean_BT))

    def fit(self, mean_MT: Tensor, vectors_MC: Tensor, null_C: Tensor) -> float:
        """Fit the layers to vectors by least squares, and take the null vector.

        Draws come from a generator of their own, so that every process gets the same layers. Returns the
        share of the vectors' variance that the layers explain.
        """
        generator = torch.Generator().manual_seed(0)
        center_C, spread = vectors_MC.mean(0), vectors_MC.std(0).mean() + 1e-6
        with torch.no_grad():
            self.null.copy_(null_C)
            self.out.weight.zero_()
            self.out.bias.zero_()
            # features of variance 1, whatever the encoder's
            spread_T = mean_MT.std(0) + 1e-6
            self.hidden.weight.div_(spread_T)
            self.hidden.bias.sub_(self.hidden.weight @ mean_MT.mean(0))
        # vectors of variance 1 from a start at zero: the fit spends no steps on removing its first draws,
        # which are many times larger than the vectors of classes
        target_MC = (vectors_MC - center_C) / spread
        layers = [*self.hidden.parameters(), *self.out.parameters()]
        optimizer = torch.optim.AdamW(layers, lr=RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
        with torch.enable_grad():
            for _ in range(STEPS):
                rows = torch.randint(len(mean_MT), (BATCH,), generator=generator)
                optimizer.zero_grad()
                F.mse_loss(self._vectors(mean_MT[rows]), target_MC[rows]).backward()
                optimizer.step()
                schedule.step()
        optimizer.zero_grad()
        with torch.no_grad():
            self.out.weight.mul_(spread)
            self.out.bias.mul_(spread).add_(center_C)
            wrong = (self._vectors(mean_MT) - vectors_MC).square().sum()
        return 1 - (wrong / (vectors_MC - vectors_MC.mean(0)).square().sum()).item()

    def _vectors(self, mean_BT: Tensor) -> Tensor:
        return self.out(F.gelu(self.hidden(mean_BT)))
