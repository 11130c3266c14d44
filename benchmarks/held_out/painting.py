"""In- and out-painting: what is kept, the seam, and how real the whole looks, by the ways of compositing."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from vartk.engine.model import Model
from vartk.tables import Table

from .pictures import Pictures, psnr, seam

HEADINGS = ("way", "PSNR outside (dB)", "PSNR inside (dB)", "seam", "FD-ELite0")


def masks() -> dict[str, torch.Tensor]:
    """Return what is drawn anew [H, W], by its name."""
    centre, right = torch.zeros(64, 64), torch.zeros(64, 64)
    centre[16:48, 16:48] = 1
    right[:, 32:] = 1
    return {
        "In-painting: a box of half the sides, at the centre": centre,
        "Out-painting: the right half": right,
    }


def ways(model: Model, pictures: Pictures, mask: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what each way makes of the pictures, in [0, 1], by its name."""
    images = pictures.true * 2 - 1
    yield "true pictures", pictures.true
    yield (
        "reconstruction",
        (torch.cat([model.decode(model.encode(part)) for part in images.split(64)]) + 1) / 2,
    )
    codes = model.inpaint(images, mask, composite="codes").images
    yield "`codes`, the notebook's way", codes
    yield "`codes`, pasted with a hard edge", torch.where(mask == 1, codes, pictures.true)
    grey = torch.where(mask == 1, 0.0, images)
    blind = model.inpaint(grey, mask, composite="codes").images
    yield "the same, what is covered being grey", torch.where(mask == 1, blind, pictures.true)
    yield "`paste`", model.inpaint(images, mask).images
    yield "`paste` under the true class", model.inpaint(images, mask, pictures.labels).images


def tables(model: Model, pictures: Pictures) -> Iterator[tuple[Table, dict[str, torch.Tensor]]]:
    """Yield a table for each mask, and the images of each way."""
    for title, mask in masks().items():
        made = dict(ways(model, pictures, mask))
        rows = [
            (
                way,
                _decibels(psnr(images, pictures.true, 1 - mask)),
                _decibels(psnr(images, pictures.true, mask)),
                f"{seam(images, mask):.1f}",
                f"{pictures.frechet(images):.0f}",
            )
            for way, images in made.items()
        ]
        yield Table(HEADINGS, rows, title), made


def _decibels(value: float) -> str:
    return "equal" if value == float("inf") else f"{value:.2f}"
