"""What a generation is asked for, and what guidance leads away from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from vartk_registry import VartkError, counted
from vartk_registry.interfaces import Condition, Conditioner

from .arguments import as_labels
from .blend import Blends


@dataclass(frozen=True, slots=True)
class Asked:
    """Conditions of images.

    Attributes:
        wanted: one an image.
        against: their null conditions, or negative ones in their place.
    """

    wanted: Blends
    against: Blends

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.wanted)

    def __getitem__(self, rows: slice) -> Asked:
        return Asked(self.wanted[rows], self.against[rows])

    def conditions(self, conditioner: Conditioner) -> tuple[Condition, Condition]:
        """Return the conditions, and those that guidance leads away from."""
        return self.wanted.condition(conditioner), self.against.condition(conditioner)


def ask(conditioner: Conditioner, parse: Callable[[Any], torch.Tensor], labels: Any, negative: Any) -> Asked:
    """Return what labels ask for.

    Args:
        parse: returns a batch for labels, on the model's device.
        labels: one an image; a mapping of labels to weights is a blend of them.
        negative: what the images are not to show, one for all or one an image; None for the null condition.

    Raises:
        VartkError: there are neither one nor as many negative labels as images; a weight is no number above
            0; errors of `parse`.
    """
    wanted = Blends.of(as_labels(labels), parse)
    if negative is None:
        return Asked(wanted, wanted.dropped(conditioner))
    against = as_labels(negative)
    if len(against) not in (1, len(wanted)):
        raise VartkError(
            f"{counted(len(against), 'negative label')} for {counted(len(wanted), 'image')}; give one for "
            "all, or one an image"
        )
    return Asked(wanted, Blends.of(against * (len(wanted) // len(against)), parse))
