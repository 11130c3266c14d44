"""Vector quantisation (VQ-VAE, arXiv 1711.00937), searched by Euclidean distance or by angle.

Legend: N vectors, V classes, D dim.
"""

from __future__ import annotations

import torch
from torch import distributed, nn
from torch.nn import functional as F

from vartk_registry.interfaces import CodeSpace, Quantized

from .kmeans import kmeans

_SCORES_AT_ONCE = 2**26
"""How many scores the search holds at a time: 256 MiB of float32."""

_HITS_KEPT = 0.99
"""The share of `hits` that a call keeps."""


class VectorQuantizer(nn.Module):
    """A codebook [classes, dim]; a vector's code is the nearest entry by Euclidean distance.

    Everything is computed in float32, autocast or not.

    Args:
        classes: entries of the codebook.
        commitment: beta, the weight of the commitment term.
        restart_below: entries with fewer hits than this share of the mean are replaced; 0 is never.
        dim: the width of the vectors.
    """

    hits: torch.Tensor
    """The moving average [V] of the share of the vectors that each entry is nearest to."""

    restarting: bool
    """Whether calls may replace entries now; only where `restart_below` is above 0."""

    def __init__(self, *, classes: int, commitment: float, restart_below: float, dim: int) -> None:
        super().__init__()
        self.space = CodeSpace(classes)
        self.dim = dim
        self.commitment = commitment
        self.restart_below = restart_below
        if restart_below:
            self.restarting = True
        self.codebook = nn.Embedding(classes, dim)
        # Entries of length about 1/4, the size of the residuals an untrained encoder leaves. Short
        # runs with 1024 entries then reach a code perplexity over 500; with lengths 1 or 4, or the
        # customary uniform +-1/classes, below 80, for a few entries win nearly every vector.
        nn.init.normal_(self.codebook.weight, std=0.25 * dim**-0.5)
        self.register_buffer("hits", torch.zeros(classes) if restart_below else None)

    def forward(self, vectors: torch.Tensor) -> Quantized:
        """Quantise [..., dim] by the codebook as it is; the vectors carry a gradient to it alone.

        In training mode dead entries are then replaced. Under torch.distributed all processes' vectors
        count, and all have the same codebook afterwards, so all must call.
        """
        codes = self._nearest(vectors.detach().flatten(0, -2)).view(vectors.shape[:-1])
        embedded = self.embed(codes)
        if self.training:
            with torch.no_grad(), torch.autocast(vectors.device.type, enabled=False):
                self._learn(vectors.flatten(0, -2).float(), codes.flatten())
        return Quantized(codes, embedded, penalty=self.codebook.weight.new_zeros(()))

    @torch.no_grad()
    def fit(self, vectors: torch.Tensor, weights: torch.Tensor) -> None:
        """Make the entries the centres of vectors [N, dim] with weights [N], which k-means finds.

        If there are fewer vectors than entries, the other entries stay.
        """
        centres_VD, shares_V = kmeans(vectors.float(), weights.float(), self.space.classes)
        self.codebook.weight[: len(centres_VD)] = centres_VD
        if self.hits is not None:
            self.hits[: len(shares_V)] = shares_V

    def entries(self) -> torch.Tensor:
        """Return the codebook [classes, dim]."""
        return self.codebook.weight

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the entries [..., dim] of codes [...]."""
        return self.codebook(codes)

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean entry [..., dim] under weights [..., classes]."""
        with torch.autocast(weights.device.type, enabled=False):
            return weights.float() @ self.entries()

    def loss(self, features: torch.Tensor, approximation: torch.Tensor) -> torch.Tensor:
        """Return the codebook term plus `commitment` times the commitment term (eq. 3)."""
        features, approximation = features.float(), approximation.float()
        codebook = F.mse_loss(approximation, features.detach())
        return codebook + self.commitment * F.mse_loss(features, approximation.detach())

    def _nearest(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        rows = max(1, _SCORES_AT_ONCE // self.space.classes)
        with torch.autocast(vectors_ND.device.type, enabled=False):
            entries_VD, parts = self.entries().detach(), vectors_ND.float().split(rows)
            return torch.cat([self._scores(part_ND, entries_VD).argmax(dim=-1) for part_ND in parts])

    def _learn(self, vectors_ND: torch.Tensor, codes_N: torch.Tensor) -> None:
        """Take in the vectors and codes of a call in training, without waiting for the device."""
        if not self.restart_below:
            return
        # for whether all is finite, one number of each vector is enough
        sums_V1, shares_V = self._shares(vectors_ND.sum(dim=-1, keepdim=True), codes_N)
        finite = sums_V1.isfinite().all()  # else the step is skipped
        self._keep_if(finite, self.hits, self.hits.lerp(shares_V, 1 - _HITS_KEPT))
        self._restart(vectors_ND, finite)

    @staticmethod
    def _keep_if(finite: torch.Tensor, kept: torch.Tensor, new: torch.Tensor) -> None:
        """Write a new value into a tensor where `finite` is true."""
        kept.copy_(new.where(finite, kept))

    def _shares(self, vectors_ND: torch.Tensor, codes_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sum [V, D] and the number [V] of the vectors of each code, over that of all."""
        counted = F.pad(vectors_ND, (0, 1), value=1.0)
        totals = counted.new_zeros(self.space.classes, counted.shape[1]).index_add_(0, codes_N, counted)
        if distributed.is_initialized():
            distributed.all_reduce(totals)
        totals /= totals[:, -1].sum()
        return totals[:, :-1], totals[:, -1]

    def _restart(self, vectors_ND: torch.Tensor, finite: torch.Tensor) -> None:
        """Put random vectors in the place of dead entries, each once, the least used entries first.

        A new entry counts as one of average use, so that it has time to find vectors of its own. Nothing is
        replaced where the scalar `finite` is false, or while `restarting` is.
        """
        if not self.restarting:
            return
        mean = self.hits.mean()
        dead = (self.hits < self.restart_below * mean).sum() * finite  # the same in every process
        fresh = torch.randperm(len(vectors_ND), device=vectors_ND.device)[: self.space.classes]
        candidates = self.hits.argsort(stable=True)[: len(fresh)]
        replaced = torch.arange(len(fresh), device=fresh.device) < dead
        weight = self.codebook.weight
        weight[candidates] = vectors_ND[fresh].where(replaced[:, None], weight[candidates])
        self.hits[candidates] = mean.where(replaced, self.hits[candidates])
        if distributed.is_initialized():  # every process has drawn vectors of its own
            distributed.broadcast(self.codebook.weight, src=0)
            distributed.broadcast(self.hits, src=0)

    def _scores(self, vectors_ND: torch.Tensor, entries_VD: torch.Tensor) -> torch.Tensor:
        """Return how near each entry is, [N, V]: -||z - e||^2 / 2 less what is common to a row."""
        lengths_V = entries_VD.square().sum(dim=-1)
        return torch.addmm(lengths_V, vectors_ND, entries_VD.T, beta=-0.5)


class CosineVectorQuantizer(VectorQuantizer):
    """A codebook whose entries are compared by direction; they are returned at their own length."""

    def _scores(self, vectors_ND: torch.Tensor, entries_VD: torch.Tensor) -> torch.Tensor:
        # a vector's own length scales its whole row, and so changes no choice
        return vectors_ND @ F.normalize(entries_VD, dim=-1).T
