"""The whole way on the embedded data: train both stages for a short while, sample, report."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError

from ..components import plugins
from ..config import Config, Layer, compose, load_layers
from ..engine.folder import load_model
from ..engine.model import Model
from ..engine.recipes import open_datasets
from ..engine.training import Reporter, Run
from ..environment import launched_rank
from ..files import refuse_existing, whole_file
from ..hub import load
from ..images import enlarged, labelled_grid, save_image, tile
from .both import train_both
from .sample import Bar

EMBEDDED = "emoji64"
"""The model in the box, which is shown first."""

STYLES = 5
"""Its classes are groups in so many styles: a row of its picture."""

EACH = 4
"""Samples of each class of the model that is trained."""


def show_embedded(path: Path, *, device: str) -> None:
    """Write a sample of each class of the model in the box, a row for each group of classes."""
    model = load(EMBEDDED, device=device)
    images = model.sample(range(len(model.classes)), seed=0).images
    save_image(tile(enlarged(images), columns=STYLES), path)


def run_demo(
    out: Path,
    overrides: Layer,
    *,
    add_bar: Callable[[str, int], Bar],
    reporter: Callable[[Bar], Reporter],
    device: str,
    event: Callable[[str], None],
) -> dict[str, Any]:
    """Show the model in the box, train a small one in the new folder `out`, and write pictures and a report.

    Args:
        overrides: what is set beside the preset `demo`.
        reporter: wraps a bar for a training run.
        event: is told what happens.

    Returns where everything is, and the numbers of the report.
    """
    if launched_rank() is not None:
        raise VartkError("`vartk demo` runs in one process; type it without torchrun")
    config = compose(Config, [*load_layers("demo", plugins()), overrides], plugins()).config
    refuse_existing(out)
    open_datasets(config, lambda line: None)  # so mistakes come out before anything is written
    embedded = out / f"{EMBEDDED}.png"
    show_embedded(embedded, device=device)
    event(f"{EMBEDDED}, the model in the box, drew {embedded}.")
    event(
        "Now a small tokenizer and a small transformer learn 32-pixel emoji, from scratch: about two minutes."
    )
    began = time.perf_counter()
    folder = train_both("demo", overrides, out, add_bar=add_bar, reporter=reporter, device=device)
    model = load_model(folder, plugins()).to(device)
    pictures = {"grid": out / "grid.png", "strip": out / "coarse-to-fine.png"}
    _save_pictures(model, pictures)
    facts = _facts(out)
    made = {
        "embedded": str(embedded),
        "model": str(folder),
        "classes": model.classes,
        **{name: str(path) for name, path in pictures.items()},
        "reconstructions": str(max((out / "tokenizer" / "pictures").glob("*.png"))),
        "report": str(out / "report.md"),
        "seconds": round(time.perf_counter() - began),
        **facts,
    }
    with whole_file(out / "report.md") as aside:
        aside.write_text(_report(made, out))
    return made


def _save_pictures(model: Model, pictures: dict[str, Path]) -> None:
    """Write some samples of each class, and the scales of one of them."""
    labels = [index for index in range(len(model.classes)) for _ in range(EACH)]
    samples = model.sample(labels, seed=0)
    names = [model.classes[index] for index in labels]
    save_image(labelled_grid(enlarged(samples.images), names, columns=8), pictures["grid"])
    # the way of every class's last sample in the grid
    rows = range(EACH - 1, len(labels), EACH)
    states = model.stream([labels[row] for row in rows], seed=[samples.seeds[row] for row in rows])
    shown = torch.cat([state.images for state in states])
    by_sample = shown.unflatten(0, (-1, len(rows))).transpose(0, 1).flatten(0, 1)
    save_image(tile(enlarged(by_sample), columns=len(model.schedule)), pictures["strip"])


def _facts(out: Path) -> dict[str, float]:
    """Return what the metrics of both runs say."""
    stages = {stage: Run(out / stage).metrics() for stage in ("tokenizer", "transformer")}
    facts = {}
    for stage, lines in stages.items():
        losses = [line["loss"] for line in lines if "loss" in line]
        facts |= {f"{stage}_first_loss": losses[0], f"{stage}_last_loss": losses[-1]}
        for name, value in ((k, v) for line in lines for k, v in line.items()):
            if name in ("val_psnr_db", "val_usage", "val_loss"):
                facts[f"{stage}_{name}"] = value
    return facts


def _report(made: dict[str, Any], out: Path) -> str:
    numbers = "\n".join(
        f"| {name.replace('_', ' ')} | {value:.4g} |"
        for name, value in made.items()
        if isinstance(value, float)
    )

    def inside(name: str) -> Path:
        return Path(made[name]).relative_to(out)

    return (
        f"# vartk demo\n\nThe model in the box, `{EMBEDDED}`, a sample of each of its classes:\n\n"
        f"![{EMBEDDED}]({inside('embedded')})\n\n"
        f"A tokenizer and a transformer, trained from scratch in {made['seconds']} seconds. They are small "
        "and had little time: more steps make better images.\n\n"
        f"Samples of each class:\n\n![samples]({inside('grid')})\n\n"
        f"One of each class from coarse to fine, as each scale is added:\n\n"
        f"![scales]({inside('strip')})\n\n"
        f"Held-out images and their reconstructions:\n\n![pairs]({inside('reconstructions')})\n\n"
        f"| number | value |\n|---|---|\n{numbers}\n\nThe model is in `{inside('model')}`.\n"
    )
