"""Top-k and top-p filtering of logits. Legend: V classes, K candidates."""

from __future__ import annotations

import torch

from vartk_registry.kernels import serves_triton

from .boundary import by_radix, by_sort


def filtered(logits_V: torch.Tensor, *, top_k: int = 0, top_p: float = 0.0) -> torch.Tensor:
    """Return float32 logits [..., V] with -inf for what top-k, and then top-p, leave out.

    Top-k leaves out what is below the k-th largest. Ties with the k-th stay, so more than k may; k = 0,
    and k of V and above, leave nothing out.

    Top-p (nucleus sampling, arXiv 1904.09751) leaves out the least likely classes, 1 - p of probability in
    all: a class goes where the probability up to and with it, counted from the least likely, is at most
    1 - p. The most likely one always stays. Of equals the first ones go first, as in a stable sort. p = 0
    leaves nothing out.
    """
    # a negative zero equals a positive one, though their bits differ
    logits_V = logits_V.float() + 0.0
    if serves_triton(logits_V):
        from . import kernels  # needs Triton, which comes with torch for CUDA alone

        if kernels.LEAST <= logits_V.shape[-1] <= kernels.MOST:
            return kernels.filtered(logits_V, top_k=top_k, top_p=top_p)
    indices_K = None
    if 0 < top_k < logits_V.shape[-1]:
        candidates_K, indices_K = logits_V.topk(top_k, dim=-1, sorted=False)
        least = candidates_K.amin(dim=-1, keepdim=True)
        logits_V = logits_V.masked_fill(logits_V < least, -torch.inf)
    if top_p == 0:
        return logits_V
    probabilities_V = logits_V.softmax(dim=-1)
    largest = probabilities_V.amax(dim=-1, keepdim=True)
    # half of the largest probability is far more than rounding, and leaves the most likely class alone
    rest = (1 - largest / 2).clamp(max=1 - top_p)
    # on a GPU sums by digit are added up in a random order, and a seed must always give the same codes
    find = by_radix if logits_V.device.type == "cpu" else by_sort
    if indices_K is None:
        threshold, below = find(logits_V, probabilities_V, rest)
    else:
        probabilities_K = probabilities_V.gather(-1, indices_K)
        others = (logits_V == least).sum(-1, keepdim=True) - (candidates_K == least).sum(-1, keepdim=True)
        before = others * probabilities_K.amin(dim=-1, keepdim=True)
        threshold, below = find(candidates_K, probabilities_K, (rest - before).clamp(min=0))
        below = torch.where(threshold > least, below + before, 0)
    ties_V = logits_V == threshold
    # of the ties, as many go as fit under the rest
    gone_V = ties_V & (below + probabilities_V * ties_V.cumsum(dim=-1, dtype=torch.int32) <= rest)
    return logits_V.masked_fill((logits_V < threshold) | gone_V, -torch.inf)
