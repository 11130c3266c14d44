"""Top-k and top-p filtering of logits. Legend: V classes."""

from __future__ import annotations

import torch


def top_k_filtered(logits_V: torch.Tensor, top_k: int) -> torch.Tensor:
    """Return logits [..., V] with -inf below the k-th largest.

    Ties with the k-th stay, so more than k may; k = 0, and k above V, filter nothing.
    """
    if not 0 < top_k < logits_V.shape[-1]:
        return logits_V
    threshold = logits_V.topk(top_k, dim=-1).values[..., -1:]
    return logits_V.masked_fill(logits_V < threshold, -torch.inf)


def top_p_filtered(logits_V: torch.Tensor, top_p: float) -> torch.Tensor:
    """Return logits [..., V] with -inf for the least likely classes, 1 - p of probability in all.

    A class goes where the probability up to and with it, counted from the least likely, is at most
    1 - p; the most likely one always stays (nucleus sampling, arXiv 1904.09751). p = 0 filters
    nothing.
    """
    if top_p == 0:
        return logits_V
    ascending_V, order_V = logits_V.sort(dim=-1)
    removed_V = ascending_V.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
    removed_V[..., -1] = False
    return logits_V.masked_fill(removed_V.scatter(-1, order_V, removed_V), -torch.inf)
