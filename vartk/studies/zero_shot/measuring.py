"""All zero-shot tasks of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ...engine.model import Model
from ...images import save_image, strips
from .editing import editing
from .gallery import galleries
from .measured import Measured
from .painting import inpainting, outpainting
from .pictures import Pictures
from .upscaling import upscaling

SHOWN = 8
"""Pictures that are shown of each way."""

GALLERY = "gallery"
"""The step that draws pictures alone."""

TASKS = ("inpaint", "outpaint", "edit", "upscale-2", "upscale-4", GALLERY)


def measure(task: str, model: Model, pictures: Pictures, training: int, folder: Path) -> dict[str, Any]:
    """Carry out one of `TASKS`, write its pictures, and return its numbers, ready for JSON.

    Args:
        training: pictures that the classifier of editing is fitted to, at most.
        folder: for PNG files.
    """
    if task == GALLERY:
        made = dict(galleries(model, pictures))
        for name, picture in made.items():
            save_image(picture.quantize(), folder / f"{name}.png")
        title = "Variations and interpolations"
        return {"title": title, "feature": pictures.feature.label, "rows": [], "pictures": list(made)}
    ways: Mapping[str, Callable[[Model, Pictures], Measured]] = {
        "inpaint": inpainting,
        "outpaint": outpainting,
        "edit": partial(editing, training=training),
        "upscale-2": partial(upscaling, factor=2),
        "upscale-4": partial(upscaling, factor=4),
    }
    measured = ways[task](model, pictures)
    rows = {way.replace("`", ""): images[:SHOWN] for way, images in measured.images.items()}
    labels = [pictures.classes[label] for label in pictures.labels[:SHOWN]]
    save_image(strips(rows, labels).quantize(), folder / f"{task}.png")
    rows_of = {"title": measured.title, "feature": pictures.feature.label, "rows": list(measured.rows)}
    return {**rows_of, "pictures": [task]}
