"""Generators: whole systems that make images, beside next-scale models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

    from .schedule import Grid


@dataclass(frozen=True, slots=True)
class Generated:
    """A step of a generation.

    Attributes:
        step: counted from 0.
        steps: of the whole generation.
        images: returns the images [B, 3, H, W] in [0, 1] made so far.
    """

    step: int
    steps: int
    images: Callable[[], torch.Tensor]


@runtime_checkable
class Generator(Protocol):
    """Component kind `generator`, a `torch.nn.Module`: from conditions and seeds to images.

    Built with `classes`, the names of the model's classes by index, `image_size`, (height, width), and
    `tokenizer`, a frozen tokenizer that is not a part of its weights (see `LatentTokenizer`), or None.
    """

    takes: str
    """What it reads of an `Example`: "label" or "caption"."""

    choices: list[str]
    """What there is to choose from, by index (class names); empty where any text will do."""

    image_size: Grid
    """(height, width) of the images that it makes, in pixels."""

    at_call: Sequence[str]
    """Names of the parameters that a call of `generate` may change; the others are fixed by the weights."""

    def parse(self, values: Sequence[Any]) -> Any:
        """Return conditions, a tensor [B, ...] or a list of B, for what a user gave.

        Raises:
            VartkError: a value is unknown or out of range.
        """
        ...

    def generate(self, conditions: Any, seeds: Sequence[int], **params: Any) -> Iterator[Generated]:
        """Yield a generation step by step; the last one has the images.

        An image depends on its condition, its seed and the parameters, not on the others of its batch.

        Args:
            seeds: one an image.
            params: those of `at_call`.
        """
        ...


@runtime_checkable
class TrainableGenerator(Generator, Protocol):
    """A generator that vartk can train on images."""

    def prepare(self, images: torch.Tensor) -> None:
        """Take in images [N, 3, H, W] in [-1, 1] before the first step, such as for the scale of latents."""
        ...

    def drop(self, conditions: torch.Tensor, dropped: torch.Tensor) -> torch.Tensor:
        """Return conditions with the null one where `dropped` [B] is true."""
        ...

    def forward(
        self, images: torch.Tensor, conditions: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Return the loss of each image [B], of images in [-1, 1]; a seeded generator gives the same loss."""
        ...
