"""In-painting, editing and out-painting of a picture file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...engine.model import Model
from ...files import refuse_existing
from ..sample import Bar
from .masks import Box, read_mask
from .pictures import read_picture
from .proposals import Draws, propose


def paint(
    model: Model,
    image: Path,
    folder: Path,
    draws: Draws,
    *,
    task: str,
    mask: Path | None,
    boxes: Sequence[Box],
    composite: str,
    fit: str,
    window: int | None,
    add_bar: Callable[[str, int], Bar],
    event: Callable[[str], None],
) -> dict[str, Any]:
    """Draw anew what a mask covers in a picture, and write proposals as a new folder.

    Args:
        task: "inpaint" or "edit", for `samples.json`.
        mask, boxes: see `read_mask`.
        composite, fit, window: see `Model.inpaint`.
        event: is told what happens to the mask.

    Returns what `samples.json` holds.

    Raises:
        VartkError: the picture or the mask cannot be used; errors of `Model.inpaint`.
    """
    refuse_existing(folder)
    picture = read_picture(image)
    drawn = read_mask(picture, mask, boxes, event)

    def draw(labels: list[Any], **how: Any) -> Any:
        images = picture.pixels.expand(len(labels), -1, -1, -1)
        return model.inpaint(images, drawn, labels, composite=composite, fit=fit, window=window, **how)

    return propose(
        model,
        draws,
        draw,
        folder,
        task={
            "task": task,
            "image": str(image),
            "mask": mask and str(mask),
            "boxes": [list(box) for box in boxes],
            "composite": composite,
            "fit": fit,
            "window": window,
        },
        shown={"input": (picture.pixels[0] + 1) / 2, "mask": drawn.expand(3, -1, -1)},
        add_bar=add_bar,
    )


def extend(
    model: Model,
    image: Path,
    folder: Path,
    draws: Draws,
    *,
    canvas: tuple[float, float],
    at: str,
    composite: str,
    fit: str,
    window: int | None,
    add_bar: Callable[[str, int], Bar],
) -> dict[str, Any]:
    """Draw around a picture on a larger canvas, and write proposals as a new folder.

    Args:
        canvas, at, composite, fit, window: see `Model.outpaint`.

    Returns what `samples.json` holds.

    Raises:
        VartkError: the picture cannot be used; errors of `Model.outpaint`.
    """
    refuse_existing(folder)
    picture = read_picture(image)
    how = {"canvas": canvas, "at": at, "composite": composite, "fit": fit, "window": window}

    def draw(labels: list[Any], **settings: Any) -> Any:
        images = picture.pixels.expand(len(labels), -1, -1, -1)
        return model.outpaint(images, labels, **how, **settings)

    task = {"task": "outpaint", "image": str(image), **how}
    shown = {"input": (picture.pixels[0] + 1) / 2}
    return propose(model, draws, draw, folder, task=task, shown=shown, add_bar=add_bar)
