"""The entropy penalty of binary codes (LFQ, arXiv 2310.05737; BSQ, arXiv 2406.07548).

A vector z has the code c with probability p(c|z) ~ exp(-|z - c|^2 / temperature), which is a product
over the bits, each with log-odds linear in z.

Legend: N vectors, D bits, G bits of a group, C its 2^G codes.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def entropy_penalty(log_odds_ND: torch.Tensor, group: int, diversity: float) -> torch.Tensor:
    """Return E[H(p(c|z))] - diversity * H(E[p(c|z)]), in nats a bit, of the log-odds that bits are 1.

    The means are over the vectors of this process. H(E[p]) is exact within groups of neighbouring bits,
    2^group probabilities a vector and group; groups are taken as independent of each other.
    """
    certainty = bit_entropies(log_odds_ND).sum(dim=-1).mean()
    spread = sum(mean_entropy(log_odds_NG) for log_odds_NG in log_odds_ND.split(group, dim=-1))
    return (certainty - diversity * spread) / log_odds_ND.shape[-1]


def bit_entropies(log_odds: torch.Tensor) -> torch.Tensor:
    """Return the entropy of each bit, in nats; those of a code's bits add up to its own."""
    return F.softplus(log_odds) - log_odds * log_odds.sigmoid()


def mean_entropy(log_odds_NG: torch.Tensor) -> torch.Tensor:
    """Return the entropy, in nats, of the mean over vectors of the joint distribution of G bits."""
    bits = log_odds_NG.shape[-1]
    indices_C = torch.arange(2**bits, device=log_odds_NG.device)
    bits_GC = (indices_C >> torch.arange(bits, device=log_odds_NG.device)[:, None]) & 1
    p_C = (log_odds_NG @ bits_GC.to(log_odds_NG.dtype)).softmax(dim=-1).mean(dim=0)
    # the logarithm of a probability that has vanished would have no gradient
    return -(p_C * p_C.clamp_min(torch.finfo(p_C.dtype).tiny).log()).sum()
