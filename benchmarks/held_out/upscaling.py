"""Super-resolution beside interpolation from the same small pictures."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from PIL import Image
from torch.nn import functional as F

from vartk.engine.data import to_tensor
from vartk.engine.model import Model
from vartk.engine.zero_shot.upscaling import projected
from vartk.images import to_pil, to_uint8
from vartk.tables import Table

from .pictures import Pictures, psnr

FACTORS = (2, 4)
HEADINGS = ("way", "PSNR (dB)", "perceptual distance (ELite0)", "FD-ELite0")


def ways(model: Model, pictures: Pictures, factor: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what each way makes of the shrunken pictures, in [0, 1], by its name."""
    small = F.interpolate(pictures.true, scale_factor=1 / factor, mode="bicubic", antialias=True)
    small = to_uint8(small) / 255
    bicubic = _enlarged(small, Image.Resampling.BICUBIC)
    yield "bicubic", bicubic
    yield "Lanczos", _enlarged(small, Image.Resampling.LANCZOS)
    yield "bicubic, back-projected", projected(bicubic, small)
    yield "`vartk upscale`", model.upscale(small * 2 - 1, factor=factor).images
    under = model.upscale(small * 2 - 1, pictures.labels, factor=factor).images
    yield "`vartk upscale` under the true class", under


def tables(model: Model, pictures: Pictures) -> Iterator[tuple[Table, dict[str, torch.Tensor]]]:
    """Yield a table for each factor, and the images of each way."""
    for factor in FACTORS:
        made = dict(ways(model, pictures, factor))
        rows = [
            (
                way,
                f"{psnr(images, pictures.true):.2f}",
                f"{pictures.perceptual(images):.4f}",
                f"{pictures.frechet(images):.0f}",
            )
            for way, images in made.items()
        ]
        side = 64 // factor
        yield Table(HEADINGS, rows, f"Super-resolution: {side} to 64 pixels"), made


def _enlarged(small: torch.Tensor, way: Image.Resampling) -> torch.Tensor:
    images = [to_tensor(to_pil(image).resize((64, 64), way)) for image in small]
    return (torch.stack(images) + 1) / 2
