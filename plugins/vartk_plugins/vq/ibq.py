"""A codebook whose every entry gets a gradient (index backpropagation, IBQ, arXiv 2412.02692).

Legend: N vectors, V classes, D dim.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from vartk_registry.interfaces import Quantized

from .quantizer import VectorQuantizer


class IndexBackpropagationQuantizer(VectorQuantizer):
    """A codebook [classes, dim], searched by Euclidean distance, with the gradient of a softmax over it.

    A vector z has the code v with probability p(v|z) ~ exp(-||z - e_v||^2 / (2 temperature)). In training,
    what a vector is quantised to has the value of its nearest entry, and the gradients of one_hot(v) -
    stop(p) + p times the codebook: at the nearest entry, and through p at every entry and at the vector. The
    original takes the scalar product instead of the distance. Everything is computed in float32, autocast
    or not.

    Args:
        classes: entries of the codebook.
        commitment: beta, the weight of the commitment term.
        temperature: the softness of p, as a squared distance.
        entropy: the weight of the penalty E[H(p)] - H(E[p]) in nats; the means are over a call's vectors.
        restart_below: entries with fewer hits than this share of the mean are replaced; 0 is never.
        dim: the width of the vectors.
    """

    def __init__(
        self,
        *,
        classes: int,
        commitment: float,
        temperature: float,
        entropy: float,
        restart_below: float,
        dim: int,
    ) -> None:
        super().__init__(classes=classes, commitment=commitment, restart_below=restart_below, dim=dim)
        self.temperature = temperature
        self.entropy = entropy

    def forward(self, vectors: torch.Tensor) -> Quantized:
        """Quantise [..., dim]; in training the vectors carry a gradient to the input and to all entries."""
        if not self.training:
            return super().forward(vectors)
        with torch.autocast(vectors.device.type, enabled=False):
            entries_VD = self.entries().clone()  # a restart writes into the codebook before the backward pass
            logits_NV = self._scores(vectors.flatten(0, -2).float(), entries_VD) / self.temperature
            log_p_NV = logits_NV.log_softmax(dim=-1)
            soft = (log_p_NV.exp() @ entries_VD.detach()).view_as(vectors)
        quantized = super().forward(vectors)
        return replace(
            quantized,
            vectors=quantized.vectors + (soft - soft.detach()),
            penalty=self.entropy * _penalty(log_p_NV) if self.entropy else quantized.penalty,
            differentiable=True,
        )


def _penalty(log_p_NV: torch.Tensor) -> torch.Tensor:
    """Return E[H(p)] - H(E[p]); 0 where there is no vector."""
    if not len(log_p_NV):
        return log_p_NV.sum()
    p_NV = log_p_NV.exp()
    p_V = p_NV.mean(dim=0)
    # the logarithm of a probability that has vanished would have no gradient
    spread = -(p_V * p_V.clamp_min(torch.finfo(p_V.dtype).tiny).log()).sum()
    return -(p_NV * log_p_NV).sum(dim=-1).mean() - spread
