"""A codebook of exponential moving averages (VQ-VAE, arXiv 1711.00937, appendix A.1; VQ-VAE-2, 1906.00446).

Legend: N vectors, V classes, D dim.
"""

from __future__ import annotations

import torch
from torch import distributed, nn
from torch.nn import functional as F

from vartk_registry.interfaces import CodeSpace, Quantized

_SCORES_AT_ONCE = 2**26
"""How many distances the search holds at a time: 256 MiB of float32."""


class EMAVectorQuantizer(nn.Module):
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

    codebook: torch.Tensor
    hits: torch.Tensor

    def __init__(
        self, *, classes: int, commitment: float, decay: float, restart_below: float, dim: int
    ) -> None:
        super().__init__()
        self.space = CodeSpace(classes)
        self.dim = dim
        self.commitment = commitment
        self.decay = decay
        self.restart_below = restart_below
        # entries of length about 1/4, the size of the residuals an untrained encoder leaves
        self.register_buffer("codebook", 0.25 * dim**-0.5 * torch.randn(classes, dim))
        # without hits an entry has no weight: the first vectors it is nearest to replace it
        self.register_buffer("hits", torch.zeros(classes))

    @torch.no_grad()
    def forward(self, vectors: torch.Tensor) -> Quantized:
        """Quantise [..., dim] by the codebook as it is, then update it in training mode."""
        with torch.autocast(vectors.device.type, enabled=False):
            vectors_ND = vectors.flatten(0, -2).float()
            codes_N = self._nearest(vectors_ND)
            codes = codes_N.view(vectors.shape[:-1])
            quantized = Quantized(codes, self.embed(codes), penalty=self.codebook.new_zeros(()))
            if self.training:
                self._update(vectors_ND, codes_N)
        return quantized

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the entries [..., dim] of codes [...]."""
        return F.embedding(codes, self.codebook)

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean entry [..., dim] under weights [..., classes]."""
        with torch.autocast(weights.device.type, enabled=False):
            return weights.float() @ self.codebook

    def loss(self, features: torch.Tensor, approximation: torch.Tensor) -> torch.Tensor:
        """Return the approximation's error, for what lies behind the codes, plus the commitment term."""
        features, approximation = features.float(), approximation.float()
        error = F.mse_loss(approximation, features.detach())
        return error + self.commitment * F.mse_loss(features, approximation.detach())

    def code_loss(self, logits: torch.Tensor, codes: torch.Tensor, smoothing: float) -> torch.Tensor:
        """Return the cross entropy [...] of logits [..., classes] for codes [...]."""
        logits_NV, codes_N = logits.flatten(0, -2).float(), codes.flatten()
        losses_N = F.cross_entropy(logits_NV, codes_N, label_smoothing=smoothing, reduction="none")
        return losses_N.view(codes.shape)

    def _nearest(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        # ||z - e||^2 less ||z||^2, which is common to a row
        lengths_V = self.codebook.square().sum(dim=-1)
        parts = vectors_ND.split(max(1, _SCORES_AT_ONCE // self.space.classes))
        distances = (torch.addmm(lengths_V, part_ND, self.codebook.T, alpha=-2) for part_ND in parts)
        return torch.cat([part_NV.argmin(dim=-1) for part_NV in distances])

    def _update(self, vectors_ND: torch.Tensor, codes_N: torch.Tensor) -> None:
        """Move the averages: with N_i the hits and e_i the entry, N_i e_i is the paper's m_i."""
        sums_VD, shares_V = self._shares(vectors_ND, codes_N)
        self.hits.lerp_(shares_V, 1 - self.decay)
        news_VD = (1 - self.decay) * (sums_VD - shares_V[:, None] * self.codebook)
        self.codebook += news_VD / self.hits[:, None].clamp_min(torch.finfo(torch.float32).tiny)
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
        self.codebook[replaced] = vectors_ND[fresh]
        self.hits[replaced] = mean
        if distributed.is_initialized():  # every process has drawn vectors of its own
            distributed.broadcast(self.codebook, src=0)
            distributed.broadcast(self.hits, src=0)
