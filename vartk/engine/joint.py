"""Conditioners that are joined, such as that of a class and that of a text.

Legend: B batch, N numbers of a sample in a part's batch, C width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from vartk_registry import Registry, VartkError, shown
from vartk_registry.interfaces import Condition, Conditioner, EncodingConditioner

from ..config import CHAIN, Slot
from .conditions import token_weights


def build_conditioner(slot: Slot, registry: Registry, *, width: int, classes: Sequence[str]) -> Conditioner:
    """Build the conditioner of a slot, or a joint one of a chain, weights not loaded."""
    if slot.name != CHAIN:
        return registry.build("conditioner", slot.name, slot.params, width=width, classes=classes)
    slots = [{**part} for part in slot.params["parts"]]
    names = [part.pop("name") for part in slots]
    parts = [
        registry.build("conditioner", name, params, width=width, classes=classes)
        for name, params in zip(names, slots, strict=True)
    ]
    return JointConditioner(names, parts)


class JointConditioner(nn.Module):
    """Several conditioners in one: vectors are added, and tokens stand one after the other.

    Where a part has tokens, the vector of a part without them is a token, too. A batch holds those of the
    parts side by side, [B, N + N + ...].

    Args:
        names: of the parts.
        parts: what each takes is its share of a value: of a pair (label, caption), where they take both.

    Raises:
        VartkError: the batches of the parts are numbers of different types.
    """

    def __init__(self, names: Sequence[str], parts: Sequence[Conditioner]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)  # type: ignore[arg-type]
        self.names = list(names)
        takes = {part.takes for part in parts}
        self.takes = takes.pop() if len(takes) == 1 else "both"
        self.choices = next((part.choices for part in parts if part.choices), [])
        nulls = [part.null(1) for part in parts]
        if len(types := {null.dtype for null in nulls}) > 1:
            raise VartkError(
                f"conditioner=[{','.join(names)}]: their batches have different types, "
                f"{' and '.join(map(str, types))}, and cannot be joined"
            )
        self._shapes = [null.shape[1:] for null in nulls]

    def parse(self, values: Sequence[Any]) -> torch.Tensor:
        """Return the batch of values: of pairs (label, caption) where the parts take both.

        None is no condition, for a value and for an end of a pair. Raises `VartkError` for what is no pair;
        errors of the parts.
        """
        if self.takes != "both":
            return _joined([part.parse(values) for part in self.parts])
        pairs = [(None, None) if value is None else value for value in values]
        for pair in pairs:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise VartkError(
                    f"{shown(pair)} is no pair of a class and a prompt; give one an image, as in "
                    "[(0, 'a red apple')], with None for what is left out"
                )
        labels, captions = zip(*pairs, strict=True)
        own = {"label": labels, "caption": captions}
        return _joined([part.parse(own[part.takes]) for part in self.parts])

    def forward(self, batch: torch.Tensor) -> Condition:
        """Return the joint condition of a batch."""
        conditions = [part(own) for part, own in zip(self.parts, self._split(batch), strict=True)]
        vector = torch.stack([condition.vector for condition in conditions]).sum(0)
        if all(condition.tokens is None for condition in conditions):
            return Condition(vector)
        with_tokens = [
            Condition(own.vector, own.vector[:, None]) if own.tokens is None else own for own in conditions
        ]
        tokens = torch.cat([condition.tokens for condition in with_tokens], dim=1)
        return Condition(
            vector, tokens, weights=torch.cat([token_weights(own) for own in with_tokens], dim=1)
        )

    def null(self, size: int) -> torch.Tensor:
        """Return `size` times the null condition of all parts."""
        return _joined([part.null(size) for part in self.parts])

    def drop(self, batch: torch.Tensor, dropped: torch.Tensor) -> torch.Tensor:
        """Return the batch with null conditions where `dropped` [B] is true, or [B, parts] for each part."""
        columns = dropped[:, None].expand(-1, len(self.parts)) if dropped.ndim == 1 else dropped
        own = zip(self.parts, self._split(batch), columns.unbind(1), strict=True)
        return _joined([part.drop(kept, away) for part, kept, away in own])

    def _split(self, batch: torch.Tensor) -> list[torch.Tensor]:
        """Return the batches of the parts."""
        parts = batch.split([shape.numel() for shape in self._shapes], dim=1)
        return [part.reshape(-1, *shape) for part, shape in zip(parts, self._shapes, strict=True)]


def drop_some(conditioner: Conditioner, batch: torch.Tensor, share: float) -> torch.Tensor:
    """Return a batch of training with a share of its samples under the null condition.

    Of a joint conditioner's other samples, each part loses the same share, so that each end of a pair is
    learned alone.
    """
    dropped = torch.rand(len(batch), device=batch.device) < share
    if isinstance(conditioner, JointConditioner):
        alone = torch.rand(len(batch), len(conditioner.parts), device=batch.device) < share
        dropped = dropped[:, None] | alone
    return conditioner.drop(batch, dropped)


def encoding_of(conditioner: Any) -> EncodingConditioner | None:
    """Return the conditioner, or its only part, that has a frozen encoder; None where there is none."""
    parts = conditioner.parts if isinstance(conditioner, JointConditioner) else [conditioner]
    encoding = [part for part in parts if isinstance(part, EncodingConditioner)]
    return encoding[0] if len(encoding) == 1 else None


def _joined(batches: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.cat([batch.reshape(len(batch), -1) for batch in batches], dim=1)
