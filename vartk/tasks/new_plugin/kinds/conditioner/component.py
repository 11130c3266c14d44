"""The conditioner `my-name`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from vartk_registry import VartkError, class_index
from vartk_registry.interfaces import Condition


class MyComponent(nn.Module):
    """A learned vector a class; the index after the last class is the null condition.

    Args:
        width: of the vectors.
        classes: their names by index.
        std: standard deviation of the initial vectors.
    """

    takes = "label"

    def __init__(self, *, width: int, classes: Sequence[str], std: float) -> None:
        super().__init__()
        if not classes:
            raise VartkError("conditioner 'my-name' needs the names of the classes; set classes=[a,b]")
        self.choices = list(classes)
        self.vectors = nn.Embedding(len(classes) + 1, width)
        nn.init.normal_(self.vectors.weight, std=std)

    def parse(self, values: Sequence[Any]) -> torch.Tensor:
        """Return the indices [B] of classes given by index or name; None is the null condition."""
        null, known = len(self.choices), self.choices
        indices = [null if value is None else class_index(value, known) for value in values]
        return torch.tensor(indices, dtype=torch.int64)

    def forward(self, batch: torch.Tensor) -> Condition:
        """Return the condition of indices [B]."""
        return Condition(self.vectors(batch))

    def null(self, size: int) -> torch.Tensor:
        """Return `size` null indices [B]."""
        return torch.full((size,), len(self.choices), device=self.vectors.weight.device)

    def drop(self, batch: torch.Tensor, dropped: torch.Tensor) -> torch.Tensor:
        """Return the indices, with the null one where `dropped` [B] is true."""
        return torch.where(dropped, len(self.choices), batch)
