"""Conditions as tensors: batches one after the other, and mixtures by weight.

Legend: B images, K parts of an image, N tokens of a part, C width.
"""

from __future__ import annotations

import torch
from torch.nn.functional import pad

from vartk_registry.interfaces import Condition


def concatenated(first: Condition, second: Condition) -> Condition:
    """Return the samples of two conditions of one conditioner as one batch."""
    halves = first, second
    vector = torch.cat([half.vector for half in halves])
    if first.tokens is None or second.tokens is None:
        return Condition(vector)
    longest = max(half.tokens.shape[1] for half in halves)
    missing = [longest - half.tokens.shape[1] for half in halves]
    tokens = [pad(half.tokens, (0, 0, 0, more)) for half, more in zip(halves, missing, strict=True)]
    if all(half.weights is None for half in halves):
        return Condition(vector, torch.cat(tokens), torch.cat([_lengths(half) for half in halves]))
    weights = [pad(token_weights(half), (0, more)) for half, more in zip(halves, missing, strict=True)]
    return Condition(vector, torch.cat(tokens), weights=torch.cat(weights))


def mixed(parts: Condition, weights_BK: torch.Tensor) -> Condition:
    """Return the conditions of B images, each mixed of K of the B K conditions `parts`, image by image.

    Vectors are averaged. The tokens of all parts stand one after the other; the weights of a part's tokens
    sum to the weight of the part, so that a long text does not count more than a short one.

    Args:
        weights_BK: sum to 1 for each image.
    """
    size = weights_BK.shape
    vector = (weights_BK[..., None] * parts.vector.unflatten(0, size)).sum(1)
    if parts.tokens is None:
        return Condition(vector)
    shares_BKN = token_weights(parts).unflatten(0, size)
    shares_BKN = shares_BKN / shares_BKN.sum(-1, keepdim=True) * weights_BK[..., None]
    tokens_BKNC = parts.tokens.unflatten(0, size)
    return Condition(vector, tokens_BKNC.flatten(1, 2), weights=shares_BKN.flatten(1))


def token_weights(condition: Condition) -> torch.Tensor:
    """Return how much each token of a condition with tokens counts, [B, N]."""
    if condition.weights is not None:
        return condition.weights
    places = torch.arange(condition.tokens.shape[1], device=condition.tokens.device)
    return (places < _lengths(condition)[:, None]).float()


def _lengths(condition: Condition) -> torch.Tensor:
    batch, count, _ = condition.tokens.shape
    full = torch.full((batch,), count, device=condition.tokens.device)
    return full if condition.lengths is None else condition.lengths
