"""Multi-scale residual tokenizers: images to the codes of each scale and back (VAR, section 3.2).

Legend: B batch, C latent channels, H and W the latent grid, h and w a scale's grid, n = h w.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from vartk_registry import VartkError
from vartk_registry.interfaces import (
    CodeSpace,
    FittedQuantizer,
    Grid,
    Quantized,
    Quantizer,
    RestartingQuantizer,
    Schedule,
    TokenizerOutput,
)

from .blocks import GROUPS
from .coder import Decoder, Encoder
from .dropout import draw_kept, refilled
from .gradients import GRADIENTS, STRAIGHT
from .tiles import decode_tiled

ALL = slice(None)
"""The images that keep a scale where all do."""

_FITTINGS = 3
"""How often `fit` fits the codebook: what finer scales have left to quantise depends on it."""


class ResidualTokenizer(nn.Module, ABC):
    """A convolutional autoencoder whose latent is approximated scale by scale, coarse to fine.

    Each scale quantises what is left of the latent at its own grid; its vectors, brought to the latent's
    grid by `_spread`, are added to the reconstruction f_hat. Quantisation is computed in float32, autocast
    or not.

    Args:
        channels, multipliers: the width of level i is channels * multipliers[i].
        blocks, latent, dropout, attention: see `VQVAEConfig`.
        gradient, restart_scales, scale_dropout, scale_keep: see there.
        convolved: whether a 3x3 convolution of the latent stands on either side of the quantizer.
        quantizer: makes the quantizer for vectors of a width.

    Raises:
        VartkError: a width that is not a multiple of 32; `restart_scales` with a quantizer that does not
            restart entries.
    """

    def __init__(
        self,
        *,
        channels: int,
        multipliers: Sequence[int],
        blocks: int,
        latent: int,
        dropout: float,
        attention: bool,
        gradient: str,
        restart_scales: int,
        scale_dropout: float,
        scale_keep: int,
        convolved: bool,
        quantizer: Callable[[int], Quantizer],
    ) -> None:
        super().__init__()
        widths = _checked_widths(channels, multipliers)
        self.channels = latent
        self.stride = 2 ** (len(widths) - 1)
        sizes = {"blocks": blocks, "latent": latent, "dropout": dropout, "attention": attention}
        self.encoder = Encoder(widths, stem=channels, **sizes)
        self.decoder = Decoder(widths, **sizes)
        self.quant_conv, self.post_quant_conv = (
            nn.Conv2d(latent, latent, kernel_size=3, padding=1) if convolved else nn.Identity()
            for _ in range(2)
        )
        self.quantizer = quantizer(latent)
        self.gradient = gradient
        self.restart_scales = restart_scales
        if restart_scales and not isinstance(self.quantizer, RestartingQuantizer):
            raise VartkError(
                f"tokenizer.restart_scales={restart_scales} has no effect, because "
                f"{type(self.quantizer).__name__} does not restart entries; take restart_scales=0, or a "
                "quantizer such as vq with quantizer.restart_below=0.03"
            )
        self.scale_dropout = scale_dropout
        self.scale_keep = scale_keep

    @property
    def space(self) -> CodeSpace:
        """What one code is: the quantizer's."""
        return self.quantizer.space

    def latent_grid(self, image_size: Grid) -> Grid:
        """Return the latent grid of an image size (h, w).

        Raises:
            VartkError: a side that is not a multiple of 2^(levels - 1).
        """
        h, w = image_size
        if h % self.stride or w % self.stride or not h or not w:
            near_h, near_w = (max(1, round(side / self.stride)) * self.stride for side in (h, w))
            raise VartkError(
                f"an image of {h}x{w} pixels does not fit this tokenizer, whose sides must be "
                f"multiples of {self.stride}; the nearest size is {near_h}x{near_w}"
            )
        return h // self.stride, w // self.stride

    def forward(self, images: torch.Tensor, schedule: Schedule) -> TokenizerOutput:
        """Encode, quantise and decode images [B, 3, H, W] in [-1, 1].

        The decoder's gradient passes through the last f_hat to the encoder as `gradient` says, or, where the
        quantizer's vectors are differentiable, by way of these. The loss "vq" is the mean over scales of the
        quantizer's loss, for the f_hat reached, plus its penalty.

        With `scale_dropout`, in training mode, some images lose their finest scales: these add nothing to
        f_hat, teach the quantizer nothing and have codes 0, which stand for nothing. The quantizer's loss
        at a scale is that of the images which kept it.

        Raises:
            VartkError: an image size that does not fit; too few scales for `scale_keep`; another `gradient`
                than "straight" beside a quantizer with a gradient of its own.
        """
        features = self.features(images)
        kept = self._draw_kept(features, schedule)
        scales, f_hats = self._quantize(features, schedule, kept)
        losses = [
            self.quantizer.loss(features[rows], f_hat[rows]) + scale.penalty
            for scale, f_hat, rows in zip(scales, f_hats, kept, strict=True)
            if len(f_hat[rows])
        ]
        return TokenizerOutput(
            images=self._decoded(self._passing(features, f_hats[-1], own=scales[-1].differentiable)),
            codes=[scale.codes for scale in scales],
            losses={"vq": torch.stack(losses).mean()},
        )

    @torch.no_grad()
    def encode(self, images: torch.Tensor, schedule: Schedule) -> list[torch.Tensor]:
        """Return the codes of images [B, 3, H, W] in [-1, 1], each scale's [B, n, *space.shape].

        Raises:
            VartkError: an image size that does not fit the tokenizer or the schedule.
        """
        scales, _ = self._quantize(self.features(images), schedule, [ALL] * len(schedule))
        return [scale.codes for scale in scales]

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the latent map [B, channels, H, W] of images, before quantisation, in float32."""
        self.latent_grid(images.shape[-2:])
        return self.quant_conv(self.encoder(images)).float()

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the vectors [..., channels] that codes [..., *space.shape] stand for."""
        return self.quantizer.embed(codes)

    def mix(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean vector [..., channels] under weights [..., *space.shape, classes]."""
        return self.quantizer.mix(weights)

    def accumulate(
        self, f_hat: torch.Tensor | None, vectors: torch.Tensor, step: int, schedule: Schedule
    ) -> torch.Tensor:
        """Return f_hat plus a scale's vectors [B, n, channels]; f_hat is None at the first."""
        with torch.autocast(vectors.device.type, enabled=False):
            h_BCHW = self._spread(vectors.float(), step, schedule)
        return h_BCHW if f_hat is None else f_hat + h_BCHW

    def next_input(self, f_hat: torch.Tensor, step: int, schedule: Schedule) -> torch.Tensor:
        """Return f_hat on the grid of scale `step`, as [B, n, channels]."""
        return tokens(f_hat, schedule.grids[step])

    @torch.no_grad()
    def code(self, rest: torch.Tensor, step: int, schedule: Schedule) -> torch.Tensor:
        """Return the codes [B, n, *space.shape] of what is left of a latent, at a scale's grid."""
        with torch.autocast(rest.device.type, enabled=False):
            return self.quantizer(tokens(rest.float(), schedule.grids[step])).codes

    def decode(self, f_hat: torch.Tensor) -> torch.Tensor:
        """Return the images [B, 3, H, W], clamped to [-1, 1], of an accumulated latent."""
        return self._decoded(f_hat).clamp(-1, 1)

    @torch.no_grad()
    def fit(self, images: Iterable[torch.Tensor], schedule: Schedule) -> None:
        """Begin the codebook with what images, batches [B, 3, H, W] in [-1, 1], leave at each scale.

        Each scale weighs the same. What is left depends on the codebook, so all is done a few times.

        Raises:
            VartkError: the quantizer has no codebook to fit; an image size that does not fit.
        """
        if not isinstance(self.quantizer, FittedQuantizer):
            raise VartkError(
                f"{type(self.quantizer).__name__} has no codebook that could begin with k-means; set "
                "train.tokenizer.kmeans_images=0, or take a quantizer such as vq"
            )
        training = self.training
        self.eval()
        features = torch.cat([self.features(batch) for batch in images])
        for _ in range(_FITTINGS):
            scales = list(self._left(features, schedule))
            weights = [vectors.new_full((len(vectors),), 1 / len(vectors)) for vectors in scales]
            self.quantizer.fit(torch.cat(scales), torch.cat(weights))
        self.train(training)

    def _left(self, features: torch.Tensor, schedule: Schedule) -> Iterator[torch.Tensor]:
        """Yield what each scale has to quantise, [B n, C]."""
        rest = features
        for step, grid in enumerate(schedule.grids):
            vectors = tokens(rest, grid)
            yield vectors.flatten(0, 1)
            rest = rest - self._spread(self.quantizer(vectors).vectors, step, schedule)

    def _passing(self, features: torch.Tensor, f_hat: torch.Tensor, *, own: bool) -> torch.Tensor:
        """Return f_hat with the gradient that it passes to the features."""
        if not own:
            return GRADIENTS[self.gradient](features, f_hat)
        if self.gradient != STRAIGHT:
            raise VartkError(
                f"tokenizer.gradient={self.gradient} would have no effect, because the quantizer passes a "
                f"gradient of its own; set tokenizer.gradient={STRAIGHT}, or take a quantizer such as vq"
            )
        return f_hat

    def decode_tiled(self, f_hat: torch.Tensor, side: int) -> torch.Tensor:
        """Return what `decode` does, but for rounding, computed in tiles of `side` pixels."""
        return decode_tiled(self.decoder, self.post_quant_conv(f_hat), side).float().clamp(-1, 1)

    def _decoded(self, f_hat: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.post_quant_conv(f_hat)).float()

    def _draw_kept(self, features: torch.Tensor, schedule: Schedule) -> Sequence[torch.Tensor | slice]:
        """Return which images keep each scale."""
        if not (self.training and self.scale_dropout):
            return [ALL] * len(schedule)
        share, keep = self.scale_dropout, self.scale_keep
        return draw_kept(len(features), len(schedule), share=share, keep=keep, device=features.device)

    def _quantize(
        self, features: torch.Tensor, schedule: Schedule, kept: Sequence[torch.Tensor | slice]
    ) -> tuple[list[Quantized], list[torch.Tensor]]:
        """Return what each scale was quantised to, and f_hat after each scale."""
        if tuple(features.shape[-2:]) != schedule.latent:
            h, w = features.shape[-2:]
            raise VartkError(
                f"images of {h * self.stride}x{w * self.stride} pixels have the latent grid "
                f"{h}x{w}, but the schedule ({schedule}) ends with another; end it with {h}x{w}"
            )
        scales, f_hats = [], []
        f_hat = torch.zeros_like(features)
        rest = features  # a quantizer passes the gradient of its penalty alone
        with torch.autocast(features.device.type, enabled=False):
            for step, (grid, rows) in enumerate(zip(schedule.grids, kept, strict=True)):
                if self.restart_scales:
                    self.quantizer.restarting = step < self.restart_scales
                scale = self.quantizer(tokens(rest[rows], grid))
                h_BCHW = self._spread(scale.vectors, step, schedule)
                if isinstance(rows, torch.Tensor):
                    scale = replace(scale, codes=refilled(scale.codes, rows, len(features)))
                    h_BCHW = refilled(h_BCHW, rows, len(features))
                scales.append(scale)
                f_hat = f_hat + h_BCHW
                rest = rest - h_BCHW.detach()
                f_hats.append(f_hat)
        return scales, f_hats

    @abstractmethod
    def _spread(self, vectors_BnC: torch.Tensor, step: int, schedule: Schedule) -> torch.Tensor:
        """Return what a scale's vectors add to the reconstruction."""


def tokens(map_BCHW: torch.Tensor, grid: Grid, mode: str = "area") -> torch.Tensor:
    """Return a map resized to a grid (h, w), by default its means over the cells, as [B, n, C]."""
    if tuple(map_BCHW.shape[-2:]) != grid:
        map_BCHW = F.interpolate(map_BCHW, size=grid, mode=mode)
    return map_BCHW.flatten(2).transpose(1, 2)


def _checked_widths(channels: int, multipliers: Sequence[int]) -> list[int]:
    widths = [channels * multiplier for multiplier in multipliers]
    if not widths:
        raise VartkError("multipliers is empty; give one width a level, such as [1,1,2,2,4]")
    for width in (channels, *widths):
        if width < 1 or width % GROUPS:
            near = max(1, round(channels / GROUPS)) * GROUPS
            raise VartkError(
                f"channels={channels} with multipliers={list(multipliers)} gives a width of "
                f"{width}, which the {GROUPS} groups of GroupNorm do not divide; try "
                f"channels={near} and multipliers of at least 1"
            )
    return widths
