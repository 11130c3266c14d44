"""Super-resolution beside interpolation from the same small pictures."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from PIL import Image
from torch.nn import functional as F

from ...engine.data import to_tensor
from ...engine.model import Model
from ...engine.zero_shot.upscaling import projected
from ...images import to_pil, to_uint8
from .measured import Measured
from .pictures import Pictures, psnr


def upscaling(model: Model, pictures: Pictures, factor: int) -> Measured:
    """Measure pictures that were shrunk by a factor, rounded to 8 bits and enlarged again."""
    made = dict(_ways(model, pictures, factor))
    rows = [
        {
            "way": way,
            "psnr": psnr(images, pictures.true),
            "perceptual": pictures.perceptual(images),
            "fd": pictures.frechet(images),
        }
        for way, images in made.items()
    ]
    (small_h, small_w), (h, w) = (side // factor for side in pictures.size), pictures.size
    return Measured(f"Super-resolution: {small_h}x{small_w} to {h}x{w} pixels", rows, made)


def _ways(model: Model, pictures: Pictures, factor: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what each way makes of the shrunken pictures, in [0, 1], by its name."""
    small = F.interpolate(pictures.true, scale_factor=1 / factor, mode="bicubic", antialias=True)
    small = to_uint8(small) / 255
    bicubic = _enlarged(small, pictures.size, Image.Resampling.BICUBIC)
    yield "bicubic", bicubic
    yield "Lanczos", _enlarged(small, pictures.size, Image.Resampling.LANCZOS)
    yield "bicubic, back-projected", projected(bicubic, small)
    yield "`vartk upscale`", model.upscale(small * 2 - 1, factor=factor).images
    under = model.upscale(small * 2 - 1, pictures.labels, factor=factor).images
    yield "`vartk upscale` under the true class", under


def _enlarged(small: torch.Tensor, size: tuple[int, int], way: Image.Resampling) -> torch.Tensor:
    h, w = size
    images = [to_tensor(to_pil(image).resize((w, h), way)) for image in small]
    return (torch.stack(images) + 1) / 2
