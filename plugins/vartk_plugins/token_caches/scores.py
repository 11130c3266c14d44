"""How much attention tokens receive, computed in pieces, as kernels do not tell.

Legend: B batch, n queries, c of them in a piece, T keys, H heads, D head dim.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_PIECE = 1 << 24
"""Probabilities held at a time."""


def probabilities(q_BnHD: Tensor, k_BTHD: Tensor, scale: float) -> Iterator[Tensor]:
    """Yield softmax(scale q k^T) in fp32 for consecutive queries, [B, H, c, T]."""
    batch, _, heads, _ = q_BnHD.shape
    k_BHDT = k_BTHD.permute(0, 2, 3, 1).float()
    queries = max(1, _PIECE // (batch * heads * k_BTHD.shape[1]))
    for q_BcHD in q_BnHD.split(queries, dim=1):
        yield (scale * q_BcHD.transpose(1, 2).float() @ k_BHDT).softmax(dim=-1)


def received(q_BnHD: Tensor, k_BTHD: Tensor, scale: float) -> Tensor:
    """Return the attention that each key receives from all queries together, [B, T, H]."""
    sums = [p_BHcT.sum(dim=2) for p_BHcT in probabilities(q_BnHD, k_BTHD, scale)]
    return torch.stack(sums).sum(dim=0).transpose(1, 2)
