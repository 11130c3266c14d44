"""FastVAR: cached token pruning (arXiv 2503.23367).

Legend: B batch, n tokens of one scale, m of them kept, C width, h and w a grid's sides.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vartk_registry.interfaces import CachePlan

from .keys import AllKeys
from .pruning import Pruning, kept_tokens


class FastVar(Pruning):
    """The last scales compute their pivotal tokens alone, and take the others from a coarser scale.

    The finest scale before them, computed in full, stores the output of each sub-layer. At a pruned
    scale the tokens with the largest |x - mean of x|^2 pass a sub-layer: L - int(L ratio) of its L. The
    outputs of the others are the stored ones, interpolated to the grid by area.
    """

    name: ClassVar[str] = "fastvar"

    def start(self, plan: CachePlan) -> FastVarState:
        """Return the state for a new generation."""
        ratios = self.by_scale(len(plan.schedule))[: self.steps(plan.schedule)]
        kept = [n - int(n * ratio) for n, ratio in zip(plan.schedule.sizes, ratios, strict=False)]
        return FastVarState(plan, self.layers(plan.layers), kept)


class FastVarState(AllKeys):
    """The stored outputs [B, C, h, w], by layer and sub-layer, and the keys of computed tokens.

    Args:
        plan: of the generation.
        layers: that are pruned.
        kept: tokens that they compute, for each scale that is generated.
    """

    def __init__(self, plan: CachePlan, layers: range, kept: list[int]) -> None:
        super().__init__(plan, kept_tokens(plan, layers, kept))
        self._grids = plan.schedule.shapes
        self._layers = layers
        self._kept = kept
        sizes = plan.schedule.sizes
        self._pruned = [step for step, count in enumerate(kept) if count < sizes[step]]
        self._stored: dict[tuple[int, str], Tensor] = {}

    def select(self, layer: int, branch: str, step: int, x: Tensor) -> Tensor | None:
        """Return the indices [B, m] of the pivotal tokens, in their order; None where all are computed."""
        if layer not in self._layers or step not in self._pruned:
            return None
        x_BnC = x.float()
        scores_Bn = torch.linalg.vector_norm(x_BnC - x_BnC.mean(dim=1, keepdim=True), dim=-1)
        return scores_Bn.topk(self._kept[step], dim=1).indices.sort(dim=1).values

    def restore(self, layer: int, branch: str, step: int, out: Tensor, kept: Tensor | None) -> Tensor:
        """Write the computed outputs over the stored ones at this grid, [B, n, C]."""
        if kept is None:
            if self._pruned and step == self._pruned[0] - 1 and layer in self._layers:
                # channels last in memory, as the tokens are: faster to interpolate and to write over
                self._stored[layer, branch] = out.transpose(1, 2).unflatten(2, self._grids[step]).clone()
            return out
        stored_BChw = self._stored[layer, branch]
        if step == self._pruned[-1]:
            del self._stored[layer, branch]
        moved_BChw = F.interpolate(stored_BChw, size=self._grids[step], mode="area")
        moved_BnC = moved_BChw.flatten(2).transpose(1, 2)
        images_B1 = torch.arange(len(kept), device=kept.device)[:, None]
        # rows of one matrix, copied whole; a scatter goes by elements
        moved_BnC.index_put_((images_B1, kept), out)
        return moved_BnC

    def narrow(self, batch: int) -> None:
        """Keep the first `batch` samples."""
        super().narrow(batch)
        self._stored = {key: maps[:batch] for key, maps in self._stored.items()}

    def nbytes(self) -> int:
        """Return the bytes of keys, values and stored outputs."""
        return super().nbytes() + sum(maps.untyped_storage().nbytes() for maps in self._stored.values())
