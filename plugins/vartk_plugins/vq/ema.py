"""A codebook of exponential moving averages (VQ-VAE, arXiv 1711.00937, appendix A.1; VQ-VAE-2, 1906.00446).

Legend: N vectors, V classes, D dim.
"""

from __future__ import annotations

import torch

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

    def __init__(
        self, *, classes: int, commitment: float, decay: float, restart_below: float, dim: int
    ) -> None:
        super().__init__(classes=classes, commitment=commitment, restart_below=restart_below, dim=dim)
        self.codebook.weight.requires_grad_(False)
        self.decay = decay
        # without hits an entry has no weight: the first vectors it is nearest to replace it
        self.hits = torch.zeros(classes)

    def _learn(self, vectors_ND: torch.Tensor, codes_N: torch.Tensor) -> None:
        """Move the averages: with N_i the hits and e_i the entry, N_i e_i is the paper's m_i."""
        sums_VD, shares_V = self._shares(vectors_ND, codes_N)
        finite = sums_VD.isfinite().all()  # else the step is skipped, and averages would never recover
        self._keep_if(finite, self.hits, self.hits.lerp(shares_V, 1 - self.decay))
        news_VD = (1 - self.decay) * (sums_VD - shares_V[:, None] * self.codebook.weight)
        moved_VD = self.codebook.weight + news_VD / self.hits[:, None].clamp_min(
            torch.finfo(torch.float32).tiny
        )
        self._keep_if(finite, self.codebook.weight, moved_VD)
        if self.restart_below:
            self._restart(vectors_ND, finite)
