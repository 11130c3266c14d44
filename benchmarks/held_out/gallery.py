"""Pictures of tasks without a number: variations from close to far, and ways between two ends."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from PIL import Image

from vartk.engine.model import Model
from vartk.images import strips

from .pictures import Pictures

EACH = 6
"""Images in a row."""

CLASSES = ("smileys-noto", "animals-noto")


def galleries(model: Model, pictures: Pictures) -> Iterator[tuple[str, Image.Image]]:
    """Yield pictures by their name."""
    first, second = pictures.true[[0, 4]] * 2 - 1
    images = first.expand(EACH, -1, -1, -1)
    scales = len(model.schedule)
    rows = {f"keep {keep} of {scales}": model.vary(images, keep=keep).images for keep in range(scales, 1, -1)}
    yield "vary", strips(rows, [f"seed {seed}" for seed in range(EACH)])
    ways = {f"pictures, keep {keep}": {"keep": keep} for keep in (scales, 5, 3)}
    rows = {name: model.interpolate(first, second, steps=EACH, **how).images for name, how in ways.items()}
    for seed in (0, 1):
        rows[f"classes, seed {seed}"] = model.interpolate(*CLASSES, steps=EACH, seed=seed).images
    yield "interpolate", strips(rows, [f"{share:.0%}" for share in torch.linspace(0, 1, EACH).tolist()])
