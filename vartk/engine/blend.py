"""Conditions between two others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vartk_registry import VartkError, counted
from vartk_registry.interfaces import Condition, Conditioner


@dataclass(frozen=True, slots=True)
class Blend:
    """A condition for each image, between two labels; `Model.sample` takes it in the place of labels.

    Attributes:
        start, end: labels, one an image.
        shares: of `end` in each image: 0 is `start`, 1 is `end`.
    """

    start: Any
    end: Any
    shares: Sequence[float] | torch.Tensor

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.shares)

    def __getitem__(self, rows: slice) -> Blend:
        return Blend(self.start[rows], self.end[rows], self.shares[rows])

    def parsed(self, parse: Callable[[Any], torch.Tensor]) -> Blend:
        """Return this with labels as a conditioner's batches, which `parse` makes.

        Raises:
            VartkError: there are not as many labels as shares; errors of `parse`.
        """
        start, end = parse(self.start), parse(self.end)
        if not len(start) == len(end) == len(self):
            raise VartkError(
                f"{counted(len(self), 'share')} between {len(start)} and {len(end)} labels; give a label an "
                "image at both ends"
            )
        return Blend(start, end, torch.as_tensor(self.shares, dtype=torch.float32, device=start.device))

    def of(self, conditioner: Conditioner) -> Condition:
        """Return the mixed condition of a parsed blend.

        Raises:
            VartkError: the conditions are sequences (of text, say), which have no common positions.
        """
        start, end = conditioner(self.start), conditioner(self.end)
        if start.tokens is not None or end.tokens is not None:
            raise VartkError("conditions with tokens cannot be blended; blend classes")
        return Condition(start.vector.lerp(end.vector, self.shares[:, None].to(start.vector)))
