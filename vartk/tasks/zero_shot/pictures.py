"""Reads the pictures that a task changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageOps

from vartk_registry import VartkError

from ...engine.data import to_tensor
from ...images import open_image


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, and what is transparent in it.

    Attributes:
        pixels: [1, 3, H, W] in [-1, 1].
        clear: [H, W], from 0 (opaque) to 1 (transparent); None for a picture without transparency.
    """

    pixels: torch.Tensor
    clear: torch.Tensor | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        h, w = self.pixels.shape[-2:]
        return h, w


def read_picture(path: Path) -> Picture:
    """Read a picture in any mode of Pillow's (CMYK, 16-bit, palette) as 8-bit RGB, upright.

    Raises:
        VartkError: it is missing, damaged or animated.
    """
    pixels = to_tensor(open_image(path))[None]
    with Image.open(path) as file:
        if (frames := getattr(file, "n_frames", 1)) > 1:
            raise VartkError(
                f"{path} is animated: it has {frames} frames; save one of them as a file of its own"
            )
        upright = ImageOps.exif_transpose(file)
        clear = None
        if upright.has_transparency_data:
            clear = 1 - grey(upright.convert("RGBA").getchannel("A"))
    return Picture(pixels, clear)


def grey(image: Image.Image) -> torch.Tensor:
    """Return a grey image as [H, W] in [0, 1]."""
    return (to_tensor(image.convert("RGB"))[0] + 1) / 2
