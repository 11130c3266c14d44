"""The Inception score (Salimans et al. 2016, arXiv 1606.03498, section 4)."""

from __future__ import annotations

import numpy as np
import torch

from .gathered import finite, require_size

SPLIT = 5000
"""Images of a split, as in the ADM evaluation suite: 50,000 images make ten."""

_SEED = 2020
"""Of the order of the images; it is torch-fidelity's, so that both have the same splits."""


class InceptionScore:
    """exp(KL(p(class | image) || p(class))) of a classifier's answers: the mean over splits, and its spread.

    Images are shuffled first: in files they often come class by class, and a split of few classes scores
    too low. The reference has no part in it.

    Args:
        split: images of a split; the last one may have fewer.
    """

    takes = "logits"
    name = "is"
    better = "higher"
    single = True

    def __init__(self, split: int = SPLIT) -> None:
        self._split = split
        self._found: list[torch.Tensor] = []

    def update(self, found: torch.Tensor, reference: torch.Tensor) -> None:
        """Take logits [B, classes]; `VartkError` where one is not finite."""
        self._found.append(finite(self.name, found).cpu())

    def compute(self) -> dict[str, float]:
        """Return `is` and `is_std`, the standard deviation over splits, 0 for one split.

        Raises:
            VartkError: there are fewer than two images.
        """
        require_size(self.name, sum(map(len, self._found)), 2)
        found_ND = torch.cat(self._found)
        order = torch.from_numpy(np.random.RandomState(_SEED).permutation(len(found_ND)))
        scores = torch.stack([_score(found_ND[rows].double()) for rows in order.split(self._split)])
        return {"is": scores.mean().item(), "is_std": scores.std(correction=0).item()}


def _score(logits_ND: torch.Tensor) -> torch.Tensor:
    # the mean divergence is the entropy of the mean less the mean entropy; `entr` is 0 at p = 0
    p_ND = logits_ND.softmax(1)
    return (torch.special.entr(p_ND.mean(0)).sum() - torch.special.entr(p_ND).sum(1).mean()).exp()
