"""Classes as conditions: indices and names to learned vectors.

Legend: B batch, C width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from vartk_registry import VartkError, shown, suggestion
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
        return torch.tensor([self._index(value) for value in values], dtype=torch.int64)

    def null(self, size: int) -> Tensor:
        """Return `size` null indices [B], on the weights' device."""
        return torch.full((size,), self.count, device=self.embedding.weight.device)

    def drop(self, batch: Tensor, dropped: Tensor) -> Tensor:
        """Return the indices [B] with the null one where `dropped` [B] is true."""
        return torch.where(dropped, self.count, batch)

    def _index(self, value: Any) -> int:
        if value is None:
            return self.count
        if isinstance(value, str):
            return self._index_of_name(value.strip())
        if isinstance(value, Integral) and not isinstance(value, bool):
            return self._checked(int(value))
        raise VartkError(f"class {shown(value)} is neither an index nor a name")

    def _index_of_name(self, name: str) -> int:
        found = [i for i, known in enumerate(self.classes) if known == name]
        if not found and name.isdecimal():
            return self._checked(int(name))
        if not found:
            folded = name.casefold()
            found = [i for i, known in enumerate(self.classes) if known.casefold() == folded]
        if not found:
            names = suggestion(name, self.classes) if self.classes else self._range()
            raise VartkError(f"unknown class {shown(name)}{names}")
        if len(found) > 1:
            indices = ", ".join(map(str, found))
            raise VartkError(f"class {name!r} is the name of {indices}; give the index instead")
        return found[0]

    def _checked(self, index: int) -> int:
        if not 0 <= index < self.count:
            raise VartkError(f"class {index} is out of range{self._range()}")
        return index

    def _range(self) -> str:
        return f"; give an index from 0 to {self.count - 1}"
