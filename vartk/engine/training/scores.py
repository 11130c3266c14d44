"""How well logits meet their codes: the loss, and the numbers of each scale.

Legend: B batch, L codes of all scales, K the scales and the whole.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vartk_registry.interfaces import CodeSpace, Schedule


class Scores:
    """Cross-entropy and accuracy, in as many launches on a GPU for ten scales as for one.

    Args:
        equal: weigh a token by 1 / sqrt(tokens of its scale) in the loss to descend (arXiv 2412.04431).
    """

    def __init__(self, space: CodeSpace, schedule: Schedule, *, equal: bool = False) -> None:
        self.space = space
        self._weights_L: Tensor | None = None
        if equal:
            weights_L = torch.cat([torch.full((size,), size**-0.5) for size in schedule.sizes])
            self._weights_L = weights_L / weights_L.sum()
        self._means = _means
        self._inside_KL = torch.zeros(len(schedule) + 1, schedule.total, dtype=torch.bool)
        for row, (start, stop) in zip(self._inside_KL, (*schedule.spans, (0, schedule.total)), strict=True):
            row[start:stop] = True

    def compile(self) -> None:
        """Compile `loss` with torch.compile."""
        self._means = torch.compile(_means)

    def loss(self, logits: Tensor, codes: Tensor, smoothing: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean cross-entropy to descend, and the numbers to report.

        Args:
            logits: [B, L, *shape, classes].
            codes: [B, L, *shape].
            smoothing: label smoothing in [0, 1].
        """
        self._inside_KL = self._inside_KL.to(logits.device)
        if self._weights_L is not None:
            self._weights_L = self._weights_L.to(logits.device)
        loss, means_2K = self._means(self.space, logits, codes, smoothing, self._inside_KL, self._weights_L)
        return loss, named(means_2K)

    def tokens(self, logits: Tensor, codes: Tensor, smoothing: float = 0.0) -> Tensor:
        """Return the cross-entropy of each token and whether its code was the likeliest, [2, B, L]."""
        return _tokens(self.space, logits, codes, smoothing)

    def by_scale(self, values_2L: Tensor) -> dict[str, Tensor]:
        """Return the numbers to report for the means over images of what `tokens` returns."""
        return named(_by_scale(values_2L, self._inside_KL.to(values_2L.device)))


def named(means_2K: Tensor) -> dict[str, Tensor]:
    """Return losses and accuracies by name: of scale k as `loss_k`, of the last one also as `loss_last`."""
    numbers = {}
    for name, means_K in zip(("loss", "accuracy"), means_2K, strict=True):
        *scales, whole = means_K
        numbers |= {name: whole, f"{name}_last": scales[-1]}
        numbers |= {f"{name}_{k}": scale for k, scale in enumerate(scales)}
    return numbers


def _tokens(space: CodeSpace, logits: Tensor, codes: Tensor, smoothing: float) -> Tensor:
    hits = (logits.argmax(-1) == codes).float()
    hits_BL = hits.flatten(2).mean(2) if hits.ndim > 2 else hits  # the share of a code's integers
    return torch.stack((space.loss(logits, codes, smoothing), hits_BL))


def _means(
    space: CodeSpace,
    logits: Tensor,
    codes: Tensor,
    smoothing: float,
    inside_KL: Tensor,
    weights_L: Tensor | None,
) -> tuple[Tensor, Tensor]:
    values_2BL = _tokens(space, logits, codes, smoothing)
    loss = values_2BL[0].mean() if weights_L is None else (values_2BL[0].mean(0) * weights_L).sum()
    return loss, _by_scale(values_2BL.detach().mean(1), inside_KL)


def _by_scale(values_2L: Tensor, inside_KL: Tensor) -> Tensor:
    # where, and no product: what is not finite stays in its scale
    return torch.where(inside_KL, values_2L[:, None], 0).sum(-1) / inside_KL.sum(-1)
