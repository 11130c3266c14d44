"""Samples images into a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from vartk_registry import VartkError, class_index

from .. import __version__
from ..config import plain
from ..engine.blend import line_of, read_label, title_of
from ..engine.generators.model import GeneratorModel, GeneratorState
from ..engine.model import Model
from ..engine.scale import ScaleState
from ..engine.sizes import size_record
from ..files import refuse_existing, whole_file
from ..images import enlarged, labelled_grid, save_image, to_uint8
from .writer import ImageWriter

GRID = 64
"""Images shown in the grid, at most."""


class Bar(Protocol):
    """A progress bar."""

    def update(self, done: float, text: str = "") -> None:
        """Show that `done` of the total is done."""
        ...


def sample_to_folder(
    model: Model | GeneratorModel,
    labels: Sequence[str],
    count: int | None,
    folder: Path,
    *,
    seed: int,
    settings: Mapping[str, Any],
    file_format: str,
    add_bar: Callable[[str, int], Bar],
    refiner: Model | None = None,
    draft: int | None = None,
    negative: str | None = None,
) -> dict[str, Any]:
    """Sample images into a new folder: PNG files or an ADM npz, a labelled grid, and `samples.json`.

    Args:
        labels: classes or prompts as for `conditions`, taken in turn; empty for all classes.
        count: images in all; None for one a label.
        settings: nested keys of the sampling configuration.
        refiner: draws the scales after the first `draft`, as in `Model.sample`.
        negative: what guidance leads away from, as for `negative_label`.

    Returns what `samples.json` holds.
    """
    refuse_existing(folder)
    given, titles = conditions(model, labels)
    total = count or len(given)
    given, titles = ([of[i % len(of)] for i in range(total)] for of in (given, titles))
    sampling = model.sampling(**settings)
    against = None if negative is None else negative_label(model, negative)
    parts = {"refiner": refiner, "draft": draft, "negative": against}
    given_parts = {name: part for name, part in parts.items() if part is not None}
    seeds = [seed + i for i in range(total)]
    sizes = size_record(model.config, getattr(sampling, "size", None))
    shown: list[torch.Tensor] = []
    packed: np.ndarray | None = None
    unrecorded: set[str] = set()
    bar = add_bar("sample", total)
    with ImageWriter() as writer:
        for start in range(0, total, sampling.batch):
            rows = slice(start, start + sampling.batch)
            last = sample_batch(model, given[rows], seeds[rows], {**given_parts, **settings}, bar, start)
            images = last.images
            unrecorded |= {last.unrecorded} - {""}
            shown.extend(images[: max(0, GRID - len(shown))].cpu())
            if file_format == "png":
                numbers = range(start, start + len(images))
                writer.write(images, [folder / f"{number:06d}.png" for number in numbers])
                continue
            pixels = to_uint8(images).permute(0, 2, 3, 1).cpu().numpy()
            if packed is None:
                packed = np.empty((total, *pixels.shape[1:]), np.uint8)
            packed[rows] = pixels
    if packed is not None:
        with whole_file(folder / "samples.npz") as aside, aside.open("wb") as file:
            np.savez(file, packed, np.array([line_of(label) for label in given]))
    save_sheet(torch.stack(shown), titles[: len(shown)], folder)
    return save_record(
        {
            "count": total,
            "out": str(folder),
            "classes": titles,
            "labels": given,
            "negative": negative,
            "seeds": seeds,
            **sizes,
            "sampling": plain(sampling),
            "unrecorded": sorted(unrecorded),
            "refiner": refiner and {"draft": draft, "sampling": plain(refiner.sampling(**settings))},
        },
        folder,
    )


def conditions(model: Model | GeneratorModel, labels: Sequence[str]) -> tuple[list[Any], list[str]]:
    """Return what images are sampled of, class indices or prompts, and how each is called.

    Args:
        labels: classes or prompts, blends in one line of YAML among them, or pairs of a class and a prompt
            for a model of both; none for all classes.

    Raises:
        VartkError: a class is unknown, there is no prompt for a model of prompts, or a blend is none.
    """
    if model.takes == "caption":
        if not labels:
            raise VartkError("this model draws prompts; give one, as in --prompt 'a red apple'")
        given = [read_label(label) for label in labels]
        return given, [line_of(label) for label in given]
    if model.takes == "both":
        return _pairs(labels, model.classes)
    indices = [int(i) for i in model.parse(list(labels) or list(range(len(model.classes))))]
    return indices, [model.classes[i] for i in indices]


def negative_label(model: Model | GeneratorModel, text: str) -> Any:
    """Return the negative label of all images for a text as for `read_label`."""
    label = read_label(text)
    return [(None, label)] if model.takes == "both" else label


def _pairs(labels: Sequence[Any], classes: Sequence[str]) -> tuple[list[Any], list[str]]:
    """Return pairs of a class index and a prompt, either of which may be None, and how each is called."""
    given = []
    for label, prompt in labels or [(label, None) for label in classes]:
        index = None if label is None else class_index(label, classes, len(classes))
        given.append((index, None if prompt is None else read_label(prompt)))
    return given, [title_of(pair, classes) for pair in given]


def save_sheet(images: torch.Tensor, labels: Sequence[str], folder: Path) -> None:
    """Write images [N, 3, H, W] in [0, 1] with their labels as `grid.png`."""
    columns = min(8, max(1, round(len(images) ** 0.5)))
    save_image(labelled_grid(enlarged(images), labels, columns), folder / "grid.png")


def save_record(record: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write what images were made of as `samples.json`, and return it with the versions."""
    whole = {**record, "versions": {"vartk": __version__, "torch": str(torch.__version__)}}
    with whole_file(folder / "samples.json") as aside:
        aside.write_text(json.dumps(whole, indent=1))
    return whole


def sample_batch(
    model: Model | GeneratorModel,
    labels: Sequence[Any],
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    bar: Bar,
    before: int,
) -> ScaleState | GeneratorState:
    """Sample one batch, showing each scale or step, and return the last one.

    `settings` are arguments of the model's `stream`.
    """
    for state in model.stream(labels, seed=seeds, **settings):
        share = (state.step + 1) / state.steps
        bar.update(before + len(labels) * share, state.place)
    return state
