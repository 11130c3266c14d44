"""Variations, super-resolution and interpolation of picture files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError

from ...engine.build import grid
from ...engine.data import fit as fitted
from ...engine.data import to_tensor
from ...engine.model import Model
from ...files import refuse_existing
from ...images import open_image
from ..sample import Bar, conditions
from .pictures import read_picture
from .proposals import Draws, propose

AddBar = Callable[[str, int], Bar]


def vary(
    model: Model, image: Path, folder: Path, draws: Draws, *, keep: int, fit: str, add_bar: AddBar
) -> dict[str, Any]:
    """Write variations of a picture as a new folder; arguments and errors as `Model.vary`."""
    refuse_existing(folder)
    picture = read_picture(image)

    def draw(labels: list[Any], **how: Any) -> Any:
        images = picture.pixels.expand(len(labels), -1, -1, -1)
        return model.vary(images, labels, keep=keep, fit=fit, **how)

    task = {"task": "vary", "image": str(image), "keep": keep, "fit": fit}
    shown = {"input": (picture.pixels[0] + 1) / 2}
    return propose(model, draws, draw, folder, task=task, shown=shown, add_bar=add_bar)


def upscale(
    model: Model,
    image: Path,
    folder: Path,
    draws: Draws,
    *,
    factor: float,
    keep: int | None,
    add_bar: AddBar,
) -> dict[str, Any]:
    """Write enlarged pictures as a new folder; arguments and errors as `Model.upscale`."""
    refuse_existing(folder)
    picture = read_picture(image)

    def draw(labels: list[Any], **how: Any) -> Any:
        images = picture.pixels.expand(len(labels), -1, -1, -1)
        return model.upscale(images, labels, factor=factor, keep=keep, **how)

    task = {"task": "upscale", "image": str(image), "factor": factor, "keep": keep}
    shown = {"input": (picture.pixels[0] + 1) / 2}
    return propose(model, draws, draw, folder, task=task, shown=shown, add_bar=add_bar)


def interpolate(
    model: Model,
    start: str,
    end: str,
    folder: Path,
    draws: Draws,
    *,
    keep: int | None,
    add_bar: AddBar,
) -> dict[str, Any]:
    """Write the images between two picture files, or two classes, as a new folder.

    Pictures are resized to cover the model's size and cropped at their centre, as for `vartk reconstruct`.

    Args:
        draws: its count is that of the steps; between pictures, its first class is that of all images.
        keep: see `Model.interpolate`.

    Raises:
        VartkError: an end is neither a picture file nor a class; there are several classes, or one although
            the ends are classes; errors of `Model.interpolate`.
    """
    refuse_existing(folder)
    steps = draws.count or 0
    ends = [_end(model, text) for text in (start, end)]
    if len(draws.classes) > (1 if isinstance(ends[0], torch.Tensor) else 0):
        raise VartkError(
            "--class is one class for all images between two pictures; between two classes, leave it out"
        )

    def draw(labels: list[Any], *, seed: int, **how: Any) -> Any:
        return model.interpolate(*ends, labels[0], steps=steps, seed=seed, keep=keep, **how)

    return propose(
        model,
        draws,
        draw,
        folder,
        task={"task": "interpolate", "start": start, "end": end, "keep": keep},
        shown={},
        add_bar=add_bar,
        names=[f"{100 * step / (steps - 1):.0f} %" for step in range(steps)],
    )


def _end(model: Model, text: str) -> Any:
    """Return a picture [3, H, W] in [-1, 1] of the model's size, or a class or a prompt."""
    path = Path(text)
    if path.is_file():
        return to_tensor(fitted(open_image(path), grid(model.config.image_size)))
    if path.suffix and not text.startswith("{"):  # which a blend of prompts does
        open_image(path)  # says that there is none
    return conditions(model, [text])[0][0]
