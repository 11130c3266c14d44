"""The tokenizer `my-name`.

Legend: B batch, C channels of the latent, h and w a scale's grid, n its tokens.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from vartk_registry import VartkError
from vartk_registry.interfaces import Grid, Quantizer, Schedule, TokenizerOutput


class MyComponent(nn.Module):
    """Patches as the latent, quantised residually: each scale codes what the coarser ones left.

    Args:
        quantizer: makes the configured quantizer for a width of vectors.
        patch: side of the patches in pixels.
        channels: of the latent.
    """

    def __init__(self, *, quantizer: Callable[[int], Quantizer], patch: int, channels: int) -> None:
        super().__init__()
        self.patch, self.channels = patch, channels
        self.encoder = nn.Conv2d(3, channels, patch, stride=patch)
        self.decoder = nn.ConvTranspose2d(channels, 3, patch, stride=patch)
        self.quantizer = quantizer(channels)
        self.space = self.quantizer.space

    def latent_grid(self, image_size: Grid) -> Grid:
        """Return the number of patches, down and across."""
        h, w = image_size
        if h % self.patch or w % self.patch:
            raise VartkError(
                f"images of {h}x{w} pixels are not divided by patches of {self.patch}; "
                "give an image_size that is a multiple, or another tokenizer.patch"
            )
        return h // self.patch, w // self.patch

    def forward(self, images: torch.Tensor, schedule: Schedule) -> TokenizerOutput:
        """Encode, quantise and decode images [B, 3, H, W] in [-1, 1]."""
        features = self.encoder(images)
        codes, f_hat = self._quantised(features, schedule)
        passed = features + (f_hat - features).detach()  # gradients go around the codes
        losses = {"quantizer": self.quantizer.loss(features, f_hat)}
        return TokenizerOutput(self.decoder(passed), codes, losses)

    def encode(self, images: torch.Tensor, schedule: Schedule) -> list[torch.Tensor]:
        """Return the codes of each scale, [B, n, *shape]."""
        return self._quantised(self.encoder(images), schedule)[0]

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the vectors [..., C] of codes."""
        return self.quantizer.embed(codes)

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean vector [..., C] under weights."""
        return self.quantizer.mix(weights)

    def accumulate(
        self, f_hat: torch.Tensor | None, vectors: torch.Tensor, step: int, schedule: Schedule
    ) -> torch.Tensor:
        """Return f_hat [B, C, H, W] with a scale's vectors [B, n, C] added, enlarged to the latent."""
        grid = vectors.mT.unflatten(2, schedule.grids[step])
        enlarged = F.interpolate(grid, schedule.latent)
        return enlarged if f_hat is None else f_hat + enlarged

    def next_input(self, f_hat: torch.Tensor, step: int, schedule: Schedule) -> torch.Tensor:
        """Return the input of scale `step` [B, n, C]: f_hat on its grid."""
        return self._on_grid(f_hat, step, schedule)

    def code(self, rest: torch.Tensor, step: int, schedule: Schedule) -> torch.Tensor:
        """Return the codes of scale `step` for what is left of a latent."""
        return self.quantizer(self._on_grid(rest, step, schedule)).codes

    def decode(self, f_hat: torch.Tensor) -> torch.Tensor:
        """Return the images [B, 3, H, W] of a latent, clamped to [-1, 1]."""
        return self.decoder(f_hat).clamp(-1, 1)

    def _on_grid(self, latent: torch.Tensor, step: int, schedule: Schedule) -> torch.Tensor:
        return F.adaptive_avg_pool2d(latent, schedule.grids[step]).flatten(2).mT

    def _quantised(
        self, features: torch.Tensor, schedule: Schedule
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return the codes of each scale, and the sum of their vectors."""
        codes: list[torch.Tensor] = []
        f_hat = None
        for step in range(len(schedule)):
            rest = features if f_hat is None else features - f_hat
            codes.append(self.code(rest, step, schedule))
            f_hat = self.accumulate(f_hat, self.embed(codes[-1]), step, schedule)
        return codes, f_hat
