"""Carries a study out in a folder: trains, measures, keeps each number, and goes on after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError

from .. import __version__
from ..engine.training import Reporter
from ..files import refuse_existing, remove_partial, whole_file
from ..scaling import fit_runs, read_runs
from ..scaling.report import as_result
from ..tasks.begun import require_same
from ..tasks.sample import Bar
from .kept import Kept
from .measures import Context, distances, speed, validation, zero_shot
from .study import TRAINED, Study, System
from .tokenizers import reconstruction
from .training import Trained, Trainer

BEGUN = "begun.json"
PICTURES = "pictures"
"""The folder for pictures of zero-shot tasks, one for each system."""


def carry_out(
    study: Study,
    folder: Path,
    *,
    device: str,
    add_bar: Callable[[str, int], Bar],
    reporter: Callable[[Bar], Reporter],
    note: Callable[[str], None],
) -> dict[str, Any]:
    """Train and measure every system of a study, and return the numbers, ready for JSON.

    What a folder holds already is not done again.

    Raises:
        VartkError: the folder holds something else, or a study with other settings.
    """
    trainer = Trainer(study, folder, device=device, add_bar=add_bar, reporter=reporter)
    _require_one_law(study, trainer)
    _begin(study, folder)
    context = Context(study, trainer, device, add_bar, note)
    kept = Kept(folder / "results")
    rows: dict[str, dict[str, Any]] = {system.name: {} for system in study.systems}
    trained: dict[str, Trained] = {}
    if set(study.measures) & set(TRAINED):
        for system in study.systems:
            if not system.weights and not system.model:
                note(f"training {system.name}")
                trained[system.name] = trainer.train(system)
                rows[system.name]["commands"] = list(trained[system.name].commands)
    if "reconstruction" in study.measures:
        for system in study.systems:
            note(f"the tokenizer of {system.name}")
            model, commands = trainer.tokenizer(system)
            rows[system.name].setdefault("commands", commands)
            name = f"reconstruction-{system.name}"
            found = kept.get(name) or kept.keep(name, reconstruction(context, system, model))
            rows[system.name]["reconstruction"] = found
    for system in study.systems:
        row, own = rows[system.name], trained.get(system.weights or system.name)
        if own is not None and "validation" in study.measures:
            row["validation"] = validation(own)
        if "distances" in study.measures:
            found = kept.get(f"distances-{system.name}")
            row["distances"] = found or kept.keep(f"distances-{system.name}", distances(context, system, own))
        if "zero-shot" in study.measures:
            pictures = folder / PICTURES / system.name
            row["zero-shot"] = zero_shot(context, system, own, kept, pictures)
    result: dict[str, Any] = {
        "study": study.plain(),
        "versions": {"vartk": __version__, "torch": str(torch.__version__)},
        "threads": torch.get_num_threads(),
        "systems": rows,
    }
    if "data" in study.measures:
        result["data"] = _by_share(study, rows)
    if "speed" in study.measures:
        result["speed"] = _speeds(study, context, kept)
    if "scaling" in study.measures:
        term = None if study.irreducible == "fit" else float(study.irreducible)
        runs = read_runs([each.run for each in trained.values()])
        result["scaling"] = as_result(runs, term, fit_runs(runs, term))
    return result


def _by_share(study: Study, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the quality of each system with its share of the data and its epochs."""
    first = rows[study.systems[0].name]["distances"]
    metrics = [name for name in first["real"] if name not in ("n", "m")]
    shown = []
    for system in study.systems:
        row = rows[system.name]
        trained = {key: row["validation"][key] for key in ("share", "training_images", "epochs", "loss")}
        quality = {metric: row["distances"][metric] for metric in metrics}
        shown.append({"system": system.name, "group": system.group, **trained, **quality})
    return {"feature": first["feature"], "metrics": metrics, "rows": shown}


def _speeds(study: Study, context: Context, kept: Kept) -> list[dict[str, Any]]:
    """Return the rows of all groups and batch sizes."""
    groups: dict[str, list[System]] = {}
    for system in study.systems:
        groups.setdefault(system.group, []).append(system)
    rows: list[dict[str, Any]] = []
    for group, systems in groups.items():
        for batch in systems[0].batches or study.batches:
            name = f"speed-{group or 'all'}-{batch}"
            found = kept.get(name) or kept.keep(name, speed(context, systems, batch))
            rows += [{"group": group, **row} for row in found]
    return rows


def _require_one_law(study: Study, trainer: Trainer) -> None:
    """Raise `VartkError` where scaling laws would hold the losses of transformers and of generators."""
    if "scaling" not in study.measures:
        return
    drawn_by = {system.name: trainer.composed(system).config.generator.name for system in study.systems}
    if len(set(drawn_by.values())) > 1:
        each = ", ".join(f"{name}: {generator}" for name, generator in drawn_by.items())
        raise VartkError(
            f"study {study.name}: the measure scaling compares losses, and each generator has its own sort "
            f"({each}); make a study for each"
        )


def _begin(study: Study, folder: Path) -> None:
    begun = json.loads(json.dumps(asdict(study)))
    path = folder / BEGUN
    if folder.is_dir():
        remove_partial(folder)
    if path.is_file():
        require_same(json.loads(path.read_text()), begun, folder, "a study")
        return
    refuse_existing(folder)
    with whole_file(path) as aside:
        aside.write_text(json.dumps(begun, indent=1))
