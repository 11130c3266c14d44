"""Proposals: what a task draws several times, written as `vartk sample` writes its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from ...config import plain
from ...engine.blend import line_of
from ...engine.model import Model
from ...engine.samples import Samples
from ...files import whole_folder
from ...images import save_image
from ..sample import Bar, conditions, save_record, save_sheet

SHEET = 512
"""The longest side of a picture in the sheet, in pixels."""


@dataclass(frozen=True, slots=True)
class Draws:
    """What is drawn, and how often.

    Args:
        model: its name, for `samples.json`.
        classes: or prompts, taken in turn; empty for no class.
        count: images; None for one a class, or one.
        seed: of the first image, the others counting up from it.
        settings: nested keys of the sampling configuration, and arguments of `Model.sample`.
    """

    model: str
    classes: Sequence[str]
    count: int | None
    seed: int
    settings: Mapping[str, Any]

    def labels(self, model: Model) -> tuple[list[Any], list[str | None]]:
        """Return the class or the prompt of each image, and how it is called; None for no class."""
        given, titles = conditions(model, self.classes) if self.classes else ([None], [None])
        count = self.count or len(given)
        return [given[i % len(given)] for i in range(count)], [titles[i % len(titles)] for i in range(count)]


def propose(
    model: Model,
    draws: Draws,
    draw: Callable[..., Samples],
    folder: Path,
    *,
    task: Mapping[str, Any],
    shown: Mapping[str, torch.Tensor],
    add_bar: Callable[[str, int], Bar],
    names: Sequence[str] = (),
) -> dict[str, Any]:
    """Draw and write a new folder: PNG files, the sheet `grid.png`, and `samples.json`.

    Args:
        draw: takes labels, `seed`, `watch` and settings, as the model's methods do.
        task: what `samples.json` also holds; `task["task"]` is its name.
        shown: pictures [3, H, W] in [0, 1] that come first in the sheet, by name; written, too.
        names: of the images in the sheet; empty for their classes, or their seeds without a class.

    Returns what `samples.json` holds.
    """
    labels, titles = draws.labels(model)
    bar = add_bar(task["task"], len(labels))
    made = draw(
        labels,
        seed=draws.seed,
        watch=lambda done, state: bar.update(done, state.place),
        **draws.settings,
    )
    names = names or [title or f"seed {seed}" for title, seed in zip(titles, made.seeds, strict=True)]
    with whole_folder(folder) as aside:
        for index, image in enumerate(made.images):
            save_image(image, aside / f"{index:06d}.png")
        for name, picture in shown.items():
            save_image(picture, aside / f"{name}.png")
        pictures = [*shown.values(), *made.images]
        sides = [max(picture.shape[axis] for picture in pictures) for axis in (-2, -1)]
        sheet = torch.stack([_on_white(picture, sides) for picture in pictures])
        save_sheet(_small(sheet), [*shown, *names], aside)
        record = {
            **task,
            "model": draws.model,
            "count": len(labels),
            "out": str(folder),
            "classes": titles,
            "labels": labels,
            "negative": line_of(draws.settings.get("negative")),
            "seeds": made.seeds,
            "sampling": plain(made.sampling),
        }
        return save_record(record, aside)


def _small(images: torch.Tensor) -> torch.Tensor:
    """Return images [N, 3, H, W] of at most `SHEET` pixels a side."""
    h, w = images.shape[-2:]
    scale = SHEET / max(h, w)
    if scale >= 1:
        return images
    size = max(1, round(h * scale)), max(1, round(w * scale))
    return F.interpolate(images, size=size, mode="bicubic", antialias=True).clamp(0, 1)


def _on_white(picture: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Return a picture [3, h, w] at the centre of a white one of a size that holds it."""
    (h, w), (height, width) = picture.shape[-2:], size
    top, left = (height - h) // 2, (width - w) // 2
    return F.pad(picture, (left, width - w - left, top, height - h - top), value=1.0)
