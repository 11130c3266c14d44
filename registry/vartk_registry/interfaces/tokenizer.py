"""Tokenizers: images to multi-scale codes and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from .quantizer import CodeSpace
    from .schedule import Grid, Schedule


@dataclass(frozen=True, slots=True)
class TokenizerOutput:
    """What a tokenizer gives in training.

    Attributes:
        images: [B, 3, H, W], the reconstruction, in about [-1, 1] and not clamped.
        codes: for each scale [B, h*w, *space.shape] int64.
        losses: scalars by name (the quantizer's and the like), to be added to the image losses.
    """

    images: torch.Tensor
    codes: list[torch.Tensor]
    losses: dict[str, torch.Tensor]


@runtime_checkable
class Tokenizer(Protocol):
    """Component kind `tokenizer`, a `torch.nn.Module`.

    Built with `quantizer`, which makes the configured quantizer for a width of vectors.

    The accumulated latent f_hat [B, channels, H, W] is the image made so far: codes are added to it
    scale by scale, it gives the next scale's input, and it is decoded at any time. The steps of every
    schedule that a tokenizer gets are scales: `schedule.raster` is False.
    """

    space: CodeSpace
    channels: int
    """The width of the latent, and of the transformer's inputs."""

    def latent_grid(self, image_size: Grid) -> Grid:
        """Return the latent grid of an image size (h, w); `VartkError` for a size it cannot take."""
        ...

    def __call__(self, images: torch.Tensor, schedule: Schedule) -> TokenizerOutput:
        """Encode, quantise and decode images [B, 3, H, W] in [-1, 1], for training."""
        ...

    def encode(self, images: torch.Tensor, schedule: Schedule) -> list[torch.Tensor]:
        """Return the codes of images [B, 3, H, W] in [-1, 1]: for each scale [B, h*w, *space.shape]."""
        ...

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the vectors [..., channels] that codes [..., *space.shape] stand for."""
        ...

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean vector [..., channels] under weights [..., *space.shape, classes]."""
        ...

    def accumulate(
        self, f_hat: torch.Tensor | None, vectors: torch.Tensor, step: int, schedule: Schedule
    ) -> torch.Tensor:
        """Return f_hat with a scale's vectors [B, h*w, channels] added; f_hat is None at the first."""
        ...

    def next_input(self, f_hat: torch.Tensor, step: int, schedule: Schedule) -> torch.Tensor:
        """Return the transformer's input [B, h*w, channels] for scale `step`, from the coarser ones."""
        ...

    def code(self, rest: torch.Tensor, step: int, schedule: Schedule) -> torch.Tensor:
        """Return the codes [B, h*w, *space.shape] of scale `step` for what is left of a latent.

        `rest` [B, channels, H, W] is a latent less the f_hat of the coarser scales.
        """
        ...

    def decode(self, f_hat: torch.Tensor) -> torch.Tensor:
        """Return the images [B, 3, H, W], clamped to [-1, 1], of an accumulated latent."""
        ...


@runtime_checkable
class TilingTokenizer(Tokenizer, Protocol):
    """A tokenizer that can decode a large image in parts, for little memory."""

    def decode_tiled(self, f_hat: torch.Tensor, side: int) -> torch.Tensor:
        """Return what `decode` does, computed in squares of about `side` pixels."""
        ...


@runtime_checkable
class FittedTokenizer(Tokenizer, Protocol):
    """A tokenizer whose codebook can begin with what images are encoded to, before training."""

    def fit(self, images: Iterable[torch.Tensor], schedule: Schedule) -> None:
        """Fit the codebook to batches of images [B, 3, H, W] in [-1, 1], as `FittedQuantizer`.

        Raises `VartkError` if its quantizer cannot be fitted.
        """
        ...


@runtime_checkable
class LatentTokenizer(Protocol):
    """What generators of continuous latents need of a tokenizer: its latents before they are quantised."""

    channels: int
    """The width of the latents."""

    def latent_grid(self, image_size: Grid) -> Grid:
        """Return the (h, w) of latents of images of this size; `VartkError` for a size that does not fit."""
        ...

    def decode(self, f_hat: torch.Tensor) -> torch.Tensor:
        """Return the images [B, 3, H, W] in [-1, 1] of latents [B, channels, h, w]."""
        ...

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the latents [B, channels, h, w] of images [B, 3, H, W] in [-1, 1], in float32."""
        ...
