"""A codebook of exponential moving averages (VQ-VAE, arXiv 1711.00937, appendix A.1; VQ-VAE-2, 1906.00446).

Legend: N vectors, V classes, D dim.
"""

from __future__ import annotations

import torch
from torch import distributed
from torch.nn import functional as F

from vartk_registry.interfaces import Quantized

from .quantizer import VectorQuantizer


class EMAVectorQuantizer(VectorQuantizer):
    """A codebook [classes, dim] whose entries are moving averages of the vectors nearest to them.

    In training mode each call is an update, after the codes are chosen; it weighs the same whatever its
    number of vectors, as the scales of an image do in the loss. Under torch.distributed it takes all
    processes' vectors and leaves the same codebook in each, so all must call. No gradient reaches the
    codebook. Everything is computed in float32, autocast or not.

    Args:
        classes: entries of the codebook.
        commitment: beta, the weight of the commitment term.
        decay: gamma, the share of the averages that an update keeps.
        restart_below: entries with fewer hits than this share of the mean are replaced; 0 is never.
        dim: the width of the vectors.
    """

    hits: torch.Tensor

    def __init__(
        self, *, classes: int, commitment: float, decay: float, restart_below: float, dim: int
    ) -> None:
        super().__init__(classes=classes, commitment=commitment, dim=dim)
        self.codebook.weight.requires_grad_(False)
        self.decay = decay
        self.restart_below = restart_below
        # without hits an entry has no weight: the first vectors it is nearest to replace it
        self.register_buffer("hits", torch.zeros(classes))

    @torch.no_grad()
    def forward(self, vectors: torch.Tensor) -> Quantized:
        """Quantise [..., dim] by the codebook as it is, then update it in training mode."""
        quantized = super().forward(vectors)
        if self.training:
            with torch.autocast(vectors.device.type, enabled=False):
                self._update(vectors.flatten(0, -2).float(), quantized.codes.flatten())
        return quantized

    def _update(self, vectors_ND: torch.Tensor, codes_N: torch.Tensor) -> None:
        """Move the averages: with N_i the hits and e_i the entry, N_i e_i is the paper's m_i."""
        sums_VD, shares_V = self._shares(vectors_ND, codes_N)
        if not sums_VD.isfinite().all():  # such a step is skipped, and averages would never recover
            return
        self.hits.lerp_(shares_V, 1 - self.decay)
        news_VD = (1 - self.decay) * (sums_VD - shares_V[:, None] * self.codebook.weight)
        self.codebook.weight += news_VD / self.hits[:, None].clamp_min(torch.finfo(torch.float32).tiny)
        if self.restart_below:
            self._restart(vectors_ND)

    def _shares(self, vectors_ND: torch.Tensor, codes_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sum [V, D] and the number [V] of the vectors of each code, over that of all."""
        counted = F.pad(vectors_ND, (0, 1), value=1.0)
        totals = counted.new_zeros(self.space.classes, self.dim + 1).index_add_(0, codes_N, counted)
        if distributed.is_initialized():
            distributed.all_reduce(totals)
        totals /= totals[:, -1].sum()
        return totals[:, :-1], totals[:, -1]

    def _restart(self, vectors_ND: torch.Tensor) -> None:
        """Put random vectors in the place of dead entries, each once, the least used entries first.

        A new entry counts as one of average use, so that it has time to find vectors of its own.
        """
        mean = self.hits.mean()
        dead = int((self.hits < self.restart_below * mean).sum())
        fresh = torch.randperm(len(vectors_ND), device=vectors_ND.device)[:dead]
        replaced = self.hits.argsort(stable=True)[: len(fresh)]
        self.codebook.weight[replaced] = vectors_ND[fresh]
        self.hits[replaced] = mean
        if distributed.is_initialized():  # every process has drawn vectors of its own
            distributed.broadcast(self.codebook.weight, src=0)
            distributed.broadcast(self.hits, src=0)
