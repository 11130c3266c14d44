"""Finds the class at which the probability, counted from the least likely class, passes a bound.

Legend: V classes.
"""

from __future__ import annotations

import torch

Boundary = tuple[torch.Tensor, torch.Tensor]
"""The logit of the class [..., 1], and the probability [..., 1] of all that are less likely."""


def by_sort(logits_V: torch.Tensor, probabilities_V: torch.Tensor, bound: torch.Tensor) -> Boundary:
    """Return the boundary in logits [..., V] for bounds [..., 1] below the total, by sorting."""
    ascending_V, order_V = logits_V.sort(dim=-1)
    upto_V = probabilities_V.gather(-1, order_V).cumsum(dim=-1)
    index = (upto_V <= bound).sum(dim=-1, keepdim=True).clamp(max=logits_V.shape[-1] - 1)
    threshold = ascending_V.gather(-1, index)
    return threshold, torch.where(logits_V < threshold, probabilities_V, 0).sum(dim=-1, keepdim=True)


def by_radix(logits_V: torch.Tensor, probabilities_V: torch.Tensor, bound: torch.Tensor) -> Boundary:
    """Return the same by a radix search in the bits of the logits, float32: 11, 11 and 10 bits at a time.

    Each turn adds up the probabilities by their next digit, finds the digit at which the sum passes the
    bound, and goes on among the classes with this digit.
    """
    bits_V = logits_V.view(torch.int32)
    # integers in the order of the numbers: of the negative ones, larger bits are lower
    keys_V = bits_V ^ ((bits_V >> 31) & _MAGNITUDE)
    below = torch.zeros_like(bound)
    found = torch.zeros_like(bound, dtype=torch.int32)
    left_V = probabilities_V
    for shift, digits in ((21, 2048), (10, 2048), (0, 1024)):
        # the first digit holds the sign
        digit_V = ((keys_V >> shift) + (digits // 2 if shift == 21 else 0)) & (digits - 1)
        sums = torch.zeros(*bound.shape[:-1], digits).scatter_add_(-1, digit_V.long(), left_V)
        upto = below + sums.cumsum(dim=-1)
        index = (upto <= bound).sum(dim=-1, keepdim=True).clamp_(max=digits - 1)
        below = torch.where(index > 0, upto.gather(-1, (index - 1).clamp(min=0)), below)
        left_V = torch.where(digit_V == index, left_V, 0)
        found = (found << digits.bit_length() - 1) | index.to(torch.int32)
    keys = found ^ -(2**31)
    return (keys ^ ((keys >> 31) & _MAGNITUDE)).view(torch.float32), below


_MAGNITUDE = 0x7FFFFFFF
