"""In- and out-painting: what is kept, the seam, and how real the whole looks, by the ways of compositing."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...engine.model import Model
from .measured import Measured
from .pictures import AT_ONCE, Pictures, psnr, seam


def inpainting(model: Model, pictures: Pictures) -> Measured:
    """Measure a box of half the sides that is drawn anew."""
    h, w = pictures.size
    mask = torch.zeros(h, w)
    mask[h // 4 : h - h // 4, w // 4 : w - w // 4] = 1
    return _measured("In-painting: a box of half the sides, at the centre", mask, model, pictures)


def outpainting(model: Model, pictures: Pictures) -> Measured:
    """Measure a half that is drawn anew."""
    h, w = pictures.size
    mask = torch.zeros(h, w)
    mask[:, w // 2 :] = 1
    return _measured("Out-painting: the right half", mask, model, pictures)


def _measured(title: str, mask: torch.Tensor, model: Model, pictures: Pictures) -> Measured:
    made = dict(_ways(model, pictures, mask))
    rows = [
        {
            "way": way,
            "psnr_outside": psnr(images, pictures.true, 1 - mask),
            "psnr_inside": psnr(images, pictures.true, mask),
            "seam": seam(images, mask),
            "fd": pictures.frechet(images),
        }
        for way, images in made.items()
    ]
    return Measured(title, rows, made)


def _ways(model: Model, pictures: Pictures, mask: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what each way makes of the pictures, in [0, 1], by its name."""
    images = pictures.true * 2 - 1
    yield "true pictures", pictures.true
    parts = [model.decode(model.encode(part)) for part in images.split(AT_ONCE)]
    yield "reconstruction", (torch.cat(parts).cpu() + 1) / 2
    codes = model.inpaint(images, mask, composite="codes").images
    yield "`codes`, the notebook's way", codes
    yield "`codes`, pasted with a hard edge", torch.where(mask == 1, codes, pictures.true)
    grey = torch.where(mask == 1, 0.0, images)
    blind = model.inpaint(grey, mask, composite="codes").images
    yield "the same, what is covered being grey", torch.where(mask == 1, blind, pictures.true)
    yield "`paste`", model.inpaint(images, mask).images
    yield "`paste` under the true class", model.inpaint(images, mask, pictures.labels).images
