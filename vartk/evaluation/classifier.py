"""What a small classifier sees in pictures: a linear layer on the features of ELite0, fitted by L-BFGS."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from vartk_registry.interfaces import Feature


@torch.no_grad()
def features_of(feature: Feature, images: torch.Tensor) -> torch.Tensor:
    """Return the features [N, D] of images [N, 3, H, W] in [0, 1]."""
    return torch.cat([feature.pooled(part).float() for part in images.split(64)])


class LinearClassifier:
    """Tells apart what features [N, D] are labelled with."""

    def __init__(self, features: torch.Tensor, labels: Sequence[int]) -> None:
        target = torch.tensor(labels)
        self._mean, self._scale = features.mean(0), features.std(0) + 1e-6
        self._layer = torch.nn.Linear(features.shape[1], int(target.max()) + 1)
        optimizer = torch.optim.LBFGS(self._layer.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            made = F.cross_entropy(self._layer(self._normal(features)), target)
            made = made + 1e-3 * self._layer.weight.square().sum()
            made.backward()
            return made

        optimizer.step(loss)

    @torch.no_grad()
    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Return the labels [N] that are seen."""
        return self._layer(self._normal(features)).argmax(1)

    def _normal(self, features: torch.Tensor) -> torch.Tensor:
        return (features - self._mean) / self._scale
