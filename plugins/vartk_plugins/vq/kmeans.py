"""Weighted k-means (Lloyd's algorithm, 10.1109/TIT.1982.1056489).

Legend: N vectors, V centres, D dim.
"""

from __future__ import annotations

import torch

_ROUNDS = 10
"""How often vectors are assigned and centres moved."""

_DISTANCES_AT_ONCE = 2**26


def kmeans(
    vectors_ND: torch.Tensor, weights_N: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return min(N, `count`) centres [V, D] of vectors, and the share [V] of the weight that each has.

    The first centres are different vectors, drawn in proportion to their weights by a generator with a fixed
    seed: the same vectors always have the same centres. A centre that no vector is nearest to stays.
    """
    drawn_N = torch.empty(len(vectors_ND)).exponential_(generator=torch.Generator().manual_seed(0))
    # the smallest of exponential numbers over their weights: a draw without replacement
    first = (drawn_N.to(vectors_ND.device) / weights_N).argsort(stable=True)[:count]
    centres_VD = vectors_ND[first]
    counted = torch.cat((vectors_ND, torch.ones_like(weights_N)[:, None]), dim=1) * weights_N[:, None]
    totals = counted
    for _ in range(_ROUNDS):
        codes_N = _nearest(vectors_ND, centres_VD)
        totals = counted.new_zeros(len(centres_VD), counted.shape[1]).index_add_(0, codes_N, counted)
        means_VD = totals[:, :-1] / totals[:, -1:]
        centres_VD = means_VD.where(totals[:, -1:] > 0, centres_VD)
    return centres_VD, totals[:, -1] / totals[:, -1].sum()


def _nearest(vectors_ND: torch.Tensor, centres_VD: torch.Tensor) -> torch.Tensor:
    """Return the nearest centre [N] of each vector."""
    parts = vectors_ND.split(max(1, _DISTANCES_AT_ONCE // len(centres_VD)))
    return torch.cat([torch.cdist(part_ND, centres_VD).argmin(dim=-1) for part_ND in parts])
