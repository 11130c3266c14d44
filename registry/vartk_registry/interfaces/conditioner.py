"""Conditioners: what an image is to show, as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Condition:
    """What a transformer is conditioned on; a model uses the parts it knows and refuses the others.

    Attributes:
        vector: [B, C], a global condition (a class, a pooled text embedding), for AdaLN and the start.
        tokens: [B, N, C], a sequence for a prefix or for cross-attention; None where there is none.
        lengths: [B], how many of the N tokens each sample uses; None means all.
        weights: [B, N], how much each token counts: attention to it is multiplied by its weight before the
            shares are made to sum to 1, and 0 means that it is not there. None means that all of `lengths`
            count alike; where weights are given, `lengths` says nothing.
    """

    vector: torch.Tensor
    tokens: torch.Tensor | None = None
    lengths: torch.Tensor | None = None
    weights: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.vector)

    def narrow(self, batch: int) -> Condition:
        """Return the conditions of the first `batch` samples."""
        return self.each(lambda part: part[:batch])

    def each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Condition:
        """Return the condition with a change of each tensor that there is."""
        changed = (None if part is None else change(part) for part in self.parts)
        return Condition(*changed)  # type: ignore[arg-type]

    @property
    def parts(self) -> tuple[torch.Tensor | None, ...]:
        """The tensors, in the order of the attributes."""
        return self.vector, self.tokens, self.lengths, self.weights


@runtime_checkable
class Conditioner(Protocol):
    """Component kind `conditioner`, a `torch.nn.Module`.

    Built with `width`, the transformer's, and `classes`, the names of the model's classes by index.

    Conditions travel as a batch that `torch.utils.data` can collate: class indices [B], token ids
    [B, N], and so on.
    """

    takes: str
    """What it reads of an `Example`: "label", "caption" or "both", a pair of them."""

    choices: list[str]
    """What there is to choose from, by index (class names); empty where any text will do."""

    def parse(self, values: Sequence[Any]) -> torch.Tensor:
        """Return the batch for what a user gave (indices, class names, prompts; None is no condition).

        Raises `VartkError` for a value that is unknown or out of range.
        """
        ...

    def __call__(self, batch: torch.Tensor) -> Condition:
        """Return the condition of a batch."""
        ...

    def null(self, size: int) -> torch.Tensor:
        """Return a batch of `size` null conditions."""
        ...

    def drop(self, batch: torch.Tensor, dropped: torch.Tensor) -> torch.Tensor:
        """Return the batch with the null condition where `dropped` [B] is true.

        It may depend on the condition in whose place it stands: a text's has as many tokens. Guidance leads
        away from this one.
        """
        ...


@runtime_checkable
class EncodingConditioner(Conditioner, Protocol):
    """Optional, of a `Conditioner` with a frozen encoder, whose features can be made once and stored."""

    def encoder_info(self) -> dict[str, Any]:
        """Return what the features depend on, as JSON knows it: the encoder's name, version and sizes."""
        ...

    def encode(self, values: Sequence[str], device: torch.device) -> list[torch.Tensor]:
        """Return the encoder's features [n, T], float32, of each text; n differs."""
        ...

    def remember(self, values: Sequence[str], features: Sequence[torch.Tensor]) -> None:
        """Take features of `encode` that were made before, so that the encoder need not read these texts."""
        ...


@runtime_checkable
class ImitatingConditioner(Conditioner, Protocol):
    """Optional, of a `Conditioner` that can start where another one is, such as texts from classes."""

    def imitate(self, values: Sequence[Any], vectors: torch.Tensor, null: torch.Tensor) -> str:
        """Fit the weights so that `values` get about the vectors [M, C], and the null condition `null` [C].

        Returns a line that says how well this is met.
        """
        ...
