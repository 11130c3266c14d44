"""The training images that are nearest to others, and which of these are near copies."""

from __future__ import annotations

from dataclasses import dataclass

import torch

NEAR = 0.01
"""The share of held-out images that a threshold of nearness takes for near copies."""

_ROWS = 1024
"""Rows of a matrix of distances in memory at once."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest of M images to each of N: `distances` [N], Euclidean, and `indices` [N] in [0, M)."""

    distances: torch.Tensor
    indices: torch.Tensor

    @classmethod
    def of(cls, found: torch.Tensor, among: torch.Tensor) -> Neighbours:
        """Find the nearest of the vectors `among` [M, D] to each of `found` [N, D]."""
        indices = torch.cat([torch.cdist(rows, among).argmin(dim=1) for rows in found.split(_ROWS)])
        parts = zip(found.split(_ROWS), indices.split(_ROWS), strict=True)
        # cdist rounds, so that equal vectors may be apart there
        return cls(torch.cat([(rows - among[nearest]).norm(dim=1) for rows, nearest in parts]), indices)


def near_copies(samples: Neighbours, held_out: Neighbours) -> dict[str, float]:
    """Return the share of samples that are near copies of a training image, and what it rests on.

    A near copy is nearer to its nearest training image than 99 of 100 held-out images, real and never
    trained on, are to theirs (`NEAR`). Samples as new as the n held-out images have the share `share_if_new`
    in the mean: of n + 1 alike, each is as likely to be the nearest, the next, ..., and the quantile lies
    NEAR (n - 1) places past the nearest. Where some held-out images are near copies themselves, the
    threshold is low and the share says too little.
    """
    n, threshold = len(held_out.distances), held_out.distances.quantile(NEAR).item()
    return {
        "near_copies": (samples.distances < threshold).float().mean().item(),
        "share_if_new": (NEAR * (n - 1) + 1) / (n + 1),
        "threshold": threshold,
        "median_of_samples": samples.distances.median().item(),
        "median_of_validation": held_out.distances.median().item(),
    }
