"""Classes as conditions: indices and names to learned vectors.

Legend: B batch, C width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vartk_registry import VartkError, class_index
from vartk_registry.interfaces import Condition


class ClassConditioner(nn.Module):
    """One vector a class; the index after the last class is the null condition.

    Args:
        width: of the vectors.
        classes: names by index; empty where they have none.
        count: number of classes; that of the names where None.

    Raises `VartkError` where there is neither, or where both are given and disagree.
    """

    takes = "label"

    def __init__(self, *, width: int, classes: Sequence[str], count: int | None) -> None:
        super().__init__()
        if not classes and count is None:
            raise VartkError("conditioner 'class' needs the names of the classes, or count=N")
        if classes and count not in (None, len(classes)):
            raise VartkError(
                f"conditioner 'class': count={count}, but {len(classes)} names are given; "
                f"leave count out, or give count={len(classes)}"
            )
        self.classes = tuple(classes)
        self.count = len(classes) if count is None else count
        self.choices = list(classes) or [str(index) for index in range(self.count)]
        self.embedding = nn.Embedding(self.count + 1, width)
        nn.init.trunc_normal_(self.embedding.weight, std=math.sqrt(1 / (3 * width)))

    def forward(self, batch: Tensor) -> Condition:
        """Return the condition of class indices [B], its vector [B, C]."""
        return Condition(vector=self.embedding(batch))

    def parse(self, values: Sequence[Any]) -> Tensor:
        """Return the indices [B] of classes given by index (a number or its digits) or by name.

        None is the null condition. A name is matched exactly, else without regard to case. Raises
        `VartkError` for an index out of range and for a name that is unknown or that several classes
        have.
        """
        indices = [
            self.count if value is None else class_index(value, self.classes, self.count) for value in values
        ]
        return torch.tensor(indices, dtype=torch.int64)

    def null(self, size: int) -> Tensor:
        """Return `size` null indices [B], on the weights' device."""
        return torch.full((size,), self.count, device=self.embedding.weight.device)

    def drop(self, batch: Tensor, dropped: Tensor) -> Tensor:
        """Return the indices [B] with the null one where `dropped` [B] is true."""
        return torch.where(dropped, self.count, batch)
