"""Pictures: 8-bit PNG files, tiled grids and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from vartk_registry import VartkError
from vartk_registry.images import DamagedImage, read_rgb

from .files import whole_file


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Return images in [0, 1] as 8-bit integers, rounded and not truncated."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def to_pil(image: torch.Tensor) -> Image.Image:
    """Return an image [3, H, W] in [0, 1] as a Pillow image."""
    return Image.fromarray(to_uint8(image).permute(1, 2, 0).cpu().numpy())


def save_image(image: torch.Tensor | Image.Image, path: Path) -> None:
    """Write an image [3, H, W] in [0, 1] as a PNG file, whole or not at all."""
    picture = to_pil(image) if torch.is_tensor(image) else image
    with whole_file(path) as aside:
        picture.save(aside, format="PNG")


def open_image(path: Path) -> Image.Image:
    """Read an image file as RGB, upright, transparency on white; `VartkError` if missing or damaged."""
    try:
        return read_rgb(path)
    except FileNotFoundError as error:
        raise VartkError(f"there is no image {path}") from error
    except DamagedImage as error:
        raise VartkError(f"{path} is not an image that can be read: {error}") from error


def enlarged(images: torch.Tensor, side: int = 96) -> torch.Tensor:
    """Return images [N, 3, H, W] whose pixels are repeated, if they are small, to be about `side` wide."""
    factor = max(1, side // images.shape[-1])
    return images.repeat_interleave(factor, -1).repeat_interleave(factor, -2)


def tile(images: torch.Tensor, columns: int, gap: int = 2) -> torch.Tensor:
    """Return images [N, 3, H, W] side by side on white, as one image [3, H', W']."""
    n, c, h, w = images.shape
    rows = -(-n // columns)
    canvas = torch.ones(c, rows * (h + gap) - gap, columns * (w + gap) - gap)
    for i, image in enumerate(images.cpu()):
        top, left = (i // columns) * (h + gap), (i % columns) * (w + gap)
        canvas[:, top : top + h, left : left + w] = image
    return canvas


def labelled_grid(images: torch.Tensor, labels: Sequence[str], columns: int) -> Image.Image:
    """Return images [N, 3, H, W] in [0, 1] in rows, each with its label under it."""
    n, _, h, w = images.shape
    font = ImageFont.load_default(size=max(10, min(16, w // 8)))
    line, gap = font.size + 6, 4
    rows = -(-n // columns)
    canvas = Image.new("RGB", (columns * (w + gap) + gap, rows * (h + line + gap) + gap), "white")
    draw = ImageDraw.Draw(canvas)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        left, top = gap + (i % columns) * (w + gap), gap + (i // columns) * (h + line + gap)
        canvas.paste(to_pil(image), (left, top))
        text = label
        while len(text) > 1 and draw.textlength(text, font=font) > w:
            text = text[:-2] + "…" if text.endswith("…") else text[:-1] + "…"
        draw.text((left + w / 2, top + h + 1), text, fill="black", font=font, anchor="ma")
    return canvas


def strip(images: torch.Tensor) -> torch.Tensor:
    """Return images [N, 3, H, W] side by side, small ones enlarged, as one image."""
    return tile(enlarged(images), columns=len(images))


def strips(images: Mapping[str, torch.Tensor], labels: Sequence[str]) -> Image.Image:
    """Return the images [N, 3, H, W] of each way as a row with its name, under their labels."""
    rows = {name: to_pil(strip(own)) for name, own in images.items()}
    width, height = next(iter(rows.values())).size
    font = ImageFont.load_default(size=13)
    margin, line, gap = 12 + round(max(font.getlength(name) for name in rows)), 24, 4
    canvas = Image.new("RGB", (margin + width + gap, line + len(rows) * (height + gap)), "white")
    draw = ImageDraw.Draw(canvas)
    each = width / len(labels)
    for index, label in enumerate(labels):
        shown = label
        while len(shown) > 1 and font.getlength(shown) > each:
            shown = shown.removesuffix("…")[:-1] + "…"
        draw.text((margin + (index + 0.5) * each, 5), shown, fill="black", font=font, anchor="ma")
    for index, (name, row) in enumerate(rows.items()):
        top = line + index * (height + gap)
        canvas.paste(row, (margin, top))
        draw.text((margin - 6, top + height / 2), name, fill="black", font=font, anchor="rm")
    return canvas
