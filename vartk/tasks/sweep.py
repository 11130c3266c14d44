"""The same seeds over a grid of sampling settings and classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError

from ..config import Layer, leaves, nest, parse_overrides, plain
from ..engine.model import Model
from ..engine.scale import ScaleState
from ..files import refuse_existing, whole_folder
from ..images import save_image, strips
from .sample import Bar, save_record

CLASS = "class"
"""The axis that is no setting."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What varies along one side of the grid: "class" or a setting's dotted key, and its values."""

    key: str
    values: Sequence[Any]

    def named(self, value: Any) -> str:
        """Return how a value is called in the picture."""
        return str(value) if self.key == CLASS else f"{self.key}={value}"


def parse_axes(texts: Sequence[str], class_labels: Callable[[str], list[str]]) -> list[Axis]:
    """Return the axes that texts KEY=V1,V2 name; values are read as YAML, classes by `class_labels`.

    Raises:
        VartkError: a text has no values, or two have one key.
    """
    axes = []
    for text in texts:
        key, equals, values = text.partition("=")
        if not (key and equals and values.strip()):
            raise VartkError(f"--over {text!r} has no values; give KEY=V1,V2, as in guidance.scale=1,2,4")
        if key == CLASS:
            axes.append(Axis(key, class_labels(values)))
            continue
        layer = parse_overrides([f"{key}=[{values}]"], f"--over {key}")
        axes.append(Axis(key, dict(leaves(layer.values))[key]))
    keys = [axis.key for axis in axes]
    if doubled := {key for key in keys if keys.count(key) > 1}:
        raise VartkError(f"--over {min(doubled)} is given twice; list all its values in one, as in A,B,C")
    return axes


def sweep_to_folder(
    model: Model,
    name: str,
    axes: Sequence[Axis],
    folder: Path,
    *,
    label: str | None,
    count: int,
    seed: int,
    settings: Mapping[str, Any],
    add_bar: Callable[[str, int], Bar],
) -> dict[str, Any]:
    """Sample each cell of a grid, with the same seeds, into a new folder: PNG files, a sheet, `samples.json`.

    The last axis runs along the columns of the sheet, the others and the seeds along its rows.

    Args:
        name: what the model was opened by.
        label: the class where no axis varies it; None for the first one.
        count: images of each cell; the first one has the seed `seed`, the others count up from it.
        settings: nested keys of the sampling configuration.

    Returns what `samples.json` holds.

    Raises:
        VartkError: a setting or a class is unknown or out of range, or set and varied; `folder` exists.
    """
    refuse_existing(folder)
    keys = [axis.key for axis in axes]
    given = {**dict(leaves(settings)), **({} if label is None else {CLASS: label})}
    if both := [key for key in keys if key in given]:
        raise VartkError(f"{both[0]} is set and varied; give it once, as a setting or by --over")
    cells = [
        dict(zip([axis.key for axis in axes], values, strict=True)) for values in product(*_values(axes))
    ]
    seeds = [seed + i for i in range(count)]
    sampled = []
    for cell in cells:  # all are checked before the first is sampled
        own = {key: value for key, value in cell.items() if key != CLASS}
        sampling = model.merged_sampling(Layer("command line", settings), nest(own, "--over"))
        sampled.append((model.parse([cell.get(CLASS, label or 0)]).tolist()[0], plain(sampling)))
    bar = add_bar("sweep", len(cells) * count)
    images = []
    for turn, (index, sampling) in enumerate(sampled):

        def watch(done: float, state: ScaleState, before: int = turn * count) -> None:
            bar.update(before + done, state.place)

        images.append(model.sample([index] * count, seed=seeds, watch=watch, **sampling).images)
    with whole_folder(folder) as aside:
        for number, image in enumerate(torch.cat(images)):
            save_image(image, aside / f"{number:06d}.png")
        save_image(_sheet(axes, seeds, torch.stack(images)), aside / "grid.png")
        record = {
            "task": "sweep",
            "model": name,
            "over": {axis.key: list(axis.values) for axis in axes},
            "count": len(cells) * count,
            "out": str(folder),
            "cells": [
                {**cell, "seed": each, "class": model.classes[index], "label": index, "sampling": sampling}
                for cell, (index, sampling) in zip(cells, sampled, strict=True)
                for each in seeds
            ],
        }
        return save_record(record, aside)


def _values(axes: Sequence[Axis]) -> list[Sequence[Any]]:
    return [axis.values for axis in axes]


def _sheet(axes: Sequence[Axis], seeds: Sequence[int], images: torch.Tensor) -> Any:
    """Return images [cells, seeds, 3, H, W] as rows with names under the values of the last axis."""
    *others, last = axes
    rows = {}
    by_row = images.unflatten(0, (-1, len(last.values)))
    for values, row in zip(product(*_values(others)), by_row, strict=True):
        own = [axis.named(value) for axis, value in zip(others, values, strict=True)]
        for index, seed in enumerate(seeds):
            rows[", ".join([*own, f"seed {seed}"])] = row[:, index]
    return strips(rows, [last.named(value) for value in last.values])
