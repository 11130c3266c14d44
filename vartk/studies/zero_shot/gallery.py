"""Pictures of tasks without a number: variations from close to far, and ways between two ends."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from PIL import Image

from ...engine.model import Model
from ...images import strips
from .pictures import Pictures

EACH = 6
"""Images in a row."""


def galleries(model: Model, pictures: Pictures) -> Iterator[tuple[str, Image.Image]]:
    """Yield pictures by their name."""
    first, second = pictures.true[[0, min(4, len(pictures.true) - 1)]] * 2 - 1
    images = first.expand(EACH, -1, -1, -1)
    scales = len(model.schedule)
    rows = {f"keep {keep} of {scales}": model.vary(images, keep=keep).images for keep in range(scales, 1, -1)}
    yield "vary", strips(rows, [f"seed {seed}" for seed in range(EACH)])
    keeps = {keep: None for keep in (scales, scales - 2, scales // 2) if keep > 0}
    rows = {
        f"pictures, keep {keep}": model.interpolate(first, second, steps=EACH, keep=keep).images
        for keep in keeps
    }
    ends = model.classes[0], model.classes[len(model.classes) // 2]
    for seed in (0, 1):
        rows[f"classes, seed {seed}"] = model.interpolate(*ends, steps=EACH, seed=seed).images
    yield "interpolate", strips(rows, [f"{share:.0%}" for share in torch.linspace(0, 1, EACH).tolist()])
