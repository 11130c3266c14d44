"""Token merging (ToMe, arXiv 2210.09461; in image generation arXiv 2303.17604).

Legend: B batch, n tokens of one scale, m of them computed, s sources, d destinations, r merged
sources, C width.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vartk_registry.interfaces import CachePlan, Grid

from .keys import AllKeys
from .pruning import Pruning, kept_tokens


class ToMe(Pruning):
    """At the last scales similar tokens pass a sub-layer as one, their mean, and all get its output.

    Of each square of 2x2 tokens the first is a destination and the others are sources. The sources that
    are most similar to a destination, by cosine, are merged into it: int(L ratio) of L tokens, but no
    more than there are sources.
    """

    name: ClassVar[str] = "tome"

    def start(self, plan: CachePlan) -> ToMeState:
        """Return the state for a new generation."""
        ratios = self.by_scale(len(plan.schedule))
        kept = [
            max(h * w - int(h * w * ratio), -(-h // 2) * -(-w // 2))
            for (h, w), ratio in zip(plan.schedule.shapes, ratios, strict=True)
        ]
        return ToMeState(plan, self.layers(plan.layers), kept)


class ToMeState(AllKeys):
    """The keys of computed tokens and, inside a sub-layer, which of them stands for each token.

    Args:
        plan: of the generation.
        layers: whose tokens are merged.
        kept: tokens that they compute, for each scale.
    """

    def __init__(self, plan: CachePlan, layers: range, kept: list[int]) -> None:
        super().__init__(plan, kept_tokens(plan, layers, kept))
        self._grids = plan.schedule.shapes
        self._layers = layers
        self._kept = kept
        self._place_Bn: Tensor | None = None

    def select(self, layer: int, branch: str, step: int, x: Tensor) -> Tensor | None:
        """Return the indices [B, m] of the tokens that others are merged into, or that stay alone."""
        batch, n, _ = x.shape
        kept = self._kept[step]
        if layer not in self._layers or kept == n:
            return None
        sources_s, destinations_d = _partition(self._grids[step], x.device)
        unit_BnC = F.normalize(x.float(), dim=-1)
        similarity_Bsd = unit_BnC[:, sources_s] @ unit_BnC[:, destinations_d].transpose(1, 2)
        best_Bs, nearest_Bs = similarity_Bsd.max(dim=-1)
        merged_Br = best_Bs.topk(n - kept, dim=1).indices
        own_n = torch.arange(n, device=x.device)
        into_Bn = own_n.repeat(batch, 1)
        into_Bn.scatter_(1, sources_s[merged_Br], destinations_d[nearest_Bs.gather(1, merged_Br)])
        computed_Bn = into_Bn == own_n
        self._place_Bn = (computed_Bn.cumsum(dim=1) - 1).gather(1, into_Bn)
        return computed_Bn.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :kept]

    def merge(self, layer: int, branch: str, step: int, x: Tensor, kept: Tensor) -> Tensor:
        """Return the means [B, m, C] of the tokens that are computed as one."""
        place_BnC = self._place_Bn[..., None].expand_as(x)
        means_BmC = x.new_zeros(len(x), kept.shape[1], x.shape[-1])
        return means_BmC.scatter_reduce(1, place_BnC, x, "mean", include_self=False)

    def restore(self, layer: int, branch: str, step: int, out: Tensor, kept: Tensor | None) -> Tensor:
        """Give each token [B, n, C] the output of the one that it was merged into."""
        if kept is None:
            return out
        place_Bn, self._place_Bn = self._place_Bn, None
        return out.gather(1, place_Bn[..., None].expand(-1, -1, out.shape[-1]))

    def nbytes(self) -> int:
        """Return the bytes of keys and values and, inside a sub-layer, of where merged tokens are."""
        inside = 0 if self._place_Bn is None else self._place_Bn.untyped_storage().nbytes()
        return super().nbytes() + inside


def _partition(grid: Grid, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the indices of the sources and of the destinations of a grid."""
    h, w = grid
    rows, columns = torch.arange(h, device=device)[:, None], torch.arange(w, device=device)
    source = ((rows % 2 == 1) | (columns % 2 == 1)).flatten()
    # a sort, for the indices of what is true would have to wait for the device
    order = source.to(torch.uint8).argsort(stable=True, descending=True)
    sources = h * w - -(-h // 2) * -(-w // 2)
    return order[:sources], order[sources:]
