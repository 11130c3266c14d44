"""What a study measures of its systems."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from ..bench.model import class_names, draw_weights
from ..bench.sampling.measure import Runner, Way
from ..bench.timing import in_turns, spread
from ..components import plugins
from ..config import EvalConfig, compose, load_layers, plain
from ..engine.device import as_device
from ..engine.folder import load_model, new_model
from ..engine.model import Model
from ..engine.recipes import open_datasets
from ..evaluation import Evaluation, Protocol
from ..hub import fingerprints
from ..scaling.runs import read_run
from ..tasks.sample import Bar
from .study import Study, System
from .training import SECONDS, Trained, Trainer

PRECISION = "fp32"
"""Of the measure `speed` on a CPU."""


@dataclass(frozen=True, slots=True)
class Context:
    """What measures need beside a system.

    Attributes:
        note: takes lines to show.
    """

    study: Study
    trainer: Trainer
    device: str
    add_bar: Callable[[str, int], Bar]
    note: Callable[[str], None]


def validation(trained: Trained) -> dict[str, Any]:
    """Return the last validation of a training and what it cost; its seconds, if it was not stopped."""
    run, timed = read_run(trained.run), trained.run / SECONDS
    layers = load_layers(str(trained.run), plugins())
    stage = compose(EvalConfig, layers, plugins()).config.train.transformer
    return {
        "parameters": run.parameters,
        **asdict(run.validations[-1]),
        "images": stage.steps * stage.batch,
        "seed": stage.seed,
        "seconds": json.loads(timed.read_text()) if timed.is_file() else None,
    }


def distances(context: Context, system: System, trained: Trained) -> dict[str, Any]:
    """Return the distances of a system's samples to its training images, by metric, as `vartk eval` does."""
    layers = load_layers(str(trained.run), plugins())
    config = compose(EvalConfig, [*layers, context.study.layer(system)], plugins()).config
    registry = plugins().registry
    feature = registry.build("feature", config.feature.name, config.feature.params)
    model = load_model(trained.model, plugins()).to(as_device(context.device))
    model.config.sampling = config.sampling
    protocol = Protocol(
        context.study.samples,
        2 * context.study.samples,
        0,
        config.sampling,
        config.metrics,
        fingerprints(str(trained.model)),
    )
    datasets = open_datasets(config, context.note)
    evaluation = Evaluation(model, datasets, feature.to(model.device), protocol, context.add_bar)
    numbers, _ = evaluation.run()
    found = numbers["distances"]
    return {
        "feature": numbers["feature"],
        **found["samples"]["training"],
        "real": found["real images"]["training"],
        "reconstructions": found["reconstructions"]["validation"],
        "sampling": plain(config.sampling),
    }


def speed(context: Context, systems: list[System], batch: int) -> list[dict[str, Any]]:
    """Time systems in turns at a batch size, with random weights; return a row for each."""
    device = as_device(context.device)
    precision = PRECISION if device.type == "cpu" else "auto"
    runners: dict[str, Runner] = {}
    rows = []
    bar = context.add_bar(f"speed, batch {batch}", len(systems) * (context.study.repeats + 1))
    for done, system in enumerate(systems, 1):
        model = _random_model(context, system).to(device)
        runner = runners[system.name] = Runner(Way(precision, "auto", batch), model)
        runner()  # compiles kernels, fills caches of plans
        runner.stages.clear()
        bar.update(done, f"warm-up of {system.name}")
    state = {"done": len(systems)}

    def measured(name: str) -> None:
        state["done"] += 1
        bar.update(state["done"], name)

    in_turns(runners, context.study.repeats, device, measured)
    for name, runner in runners.items():
        seconds = spread([sum(stages) for stages in runner.stages])
        rows.append(
            {
                "system": name,
                "batch": batch,
                "precision": precision,
                "device": str(device),
                "parameters": sum(p.numel() for p in runner.model.predictor.transformer.parameters()),
                "steps": len(runner.model.schedule),
                "tokens": runner.model.schedule.total,
                "seconds": asdict(seconds),
                "decoder_seconds": median(stages[-1] for stages in runner.stages),
                "images_per_second": batch / seconds.median,
            }
        )
    return rows


def _random_model(context: Context, system: System) -> Model:
    """Build a model of random weights; its classes are the dataset's, if that is here."""
    config = context.trainer.composed(system).config
    config.classes = class_names(config)
    model = new_model(config, plugins())
    draw_weights(model.modules()[1])
    for module in model.modules():
        module.eval().requires_grad_(False)
    return model
