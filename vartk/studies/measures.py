"""What a study measures of its systems."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from vartk_registry import VartkError

from ..bench.model import class_names, draw_weights
from ..bench.timing import in_turns, spread
from ..compare.systems.system import AnyModel, parameters, timed
from ..components import plugins
from ..config import NO_GENERATOR, DataConfig, EvalConfig, compose, load_layers, plain
from ..engine.build import build_tokenizer, grid
from ..engine.classes import require_classes
from ..engine.data import Images
from ..engine.device import as_device
from ..engine.folder import load_any, new_model
from ..engine.generators.folder import new_generator
from ..engine.model import Model
from ..engine.recipes import open_datasets
from ..engine.sets import Seen, vector_kinds
from ..evaluation.data import KEYS
from ..evaluation.looking import Look
from ..evaluation.real_images import drawn, drawn_conditions, in_batches, sample_distances, see_training
from ..evaluation.samples import sampled
from ..hub import fingerprints, load
from ..scaling.runs import read_run
from ..tasks.sample import Bar
from .kept import Kept
from .study import Study, System
from .training import SECONDS, Trained, Trainer, second_stage
from .zero_shot import TASKS, measure
from .zero_shot.pictures import Pictures

PRECISION = "fp32"
"""Of the measure `speed` on a CPU."""


@dataclass(frozen=True, slots=True)
class Context:
    """What measures need beside a system.

    Attributes:
        note: takes lines to show.
        training: training images as they were seen, and their conditions, by what decides them.
    """

    study: Study
    trainer: Trainer
    device: str
    add_bar: Callable[[str, int], Bar]
    note: Callable[[str], None]
    training: dict[str, tuple[Seen, list[int | str]]] = field(default_factory=dict)


def validation(trained: Trained) -> dict[str, Any]:
    """Return the last validation of a training and what it cost; its seconds, if it was not stopped."""
    run, timed = read_run(trained.run), trained.run / SECONDS
    layers = load_layers(str(trained.run), plugins())
    config = compose(EvalConfig, layers, plugins()).config
    stage, different = second_stage(config), len(open_datasets(config, lambda line: None, ["train"])["train"])
    return {
        "parameters": run.parameters,
        **asdict(run.validations[-1]),
        "images": stage.steps * stage.batch,
        "share": config.data.share,
        "training_images": different,
        "epochs": stage.steps * stage.batch / different,
        "seed": stage.seed,
        "seconds": json.loads(timed.read_text()) if timed.is_file() else None,
    }


def distances(context: Context, system: System, trained: Trained | None) -> dict[str, Any]:
    """Return the distances of a system's samples to its training images, by metric, as `vartk eval` does.

    Args:
        trained: its training; None for a finished model.
    """
    study, registry = context.study, plugins().registry
    model, config = _opened(context, system, trained)
    config.data = DataConfig()  # all systems have one reference, whatever share they were trained on
    sampling = model.sampling()
    feature = registry.build("feature", config.feature.name, config.feature.params).to(model.device)
    kinds = vector_kinds(registry, config.metrics, feature)
    images = Images(open_datasets(config, context.note, ["train"])["train"], grid(config.image_size))
    require_classes(model, images.dataset)
    key = repr((config.dataset, config.image_size, config.feature, kinds, model.takes))
    if key not in context.training:
        found = drawn(images.dataset, 2 * study.samples, 0)
        batches = in_batches(found, sampling.batch, context.add_bar("training images", len(found)))
        context.training[key] = see_training(model, images, batches, feature, kinds)
    training, conditions = context.training[key]
    chosen = drawn_conditions(conditions, study.samples, 0)
    weights = fingerprints(str(trained.model) if trained else system.model)
    with sampled(model, chosen, 0, sampling, None, weights, context.add_bar) as archive:
        look = Look(feature, model.device, kinds, sampling.batch, context.add_bar)
        samples, _ = look.at("samples", archive)
    made = sample_distances(registry, config.metrics, samples, training, {})
    return {
        "feature": feature.label,
        **made["samples"]["training"],
        "real": made["real images"]["training"],
        "sampling": plain(sampling),
    }


def zero_shot(
    context: Context, system: System, trained: Trained | None, kept: Kept, folder: Path
) -> dict[str, Any]:
    """Return the numbers of all zero-shot tasks, and write their pictures into a folder.

    Args:
        trained: the system's training; None for a finished model.
        kept: holds each task that is done.

    Raises:
        VartkError: the model has no scales, or is not conditioned by classes.
    """
    names = {task: f"zero-shot-{system.name}-{task}" for task in TASKS}
    missing = [task for task in TASKS if kept.get(names[task]) is None]
    if missing:
        model, config = _opened(context, system, trained)
        if not isinstance(model, Model) or model.schedule.raster or model.takes != "label":
            raise VartkError(
                f"{system.name} is no next-scale model of classes, and the measure zero-shot is for these"
            )
        pictures = Pictures.drawn(config, context.study.samples)
        require_classes(model, pictures.training.dataset)
        bar = context.add_bar(f"zero-shot tasks of {system.name}", len(TASKS))
        for task in missing:
            bar.update(TASKS.index(task), task)
            kept.keep(names[task], measure(task, model, pictures, context.study.fitted, folder))
        bar.update(len(TASKS))
    return {"count": context.study.samples, "tasks": {task: kept.get(name) for task, name in names.items()}}


def speed(context: Context, systems: list[System], batch: int) -> list[dict[str, Any]]:
    """Time systems in turns at a batch size, with random weights unless finished; return a row for each."""
    device = as_device(context.device)
    precision = PRECISION if device.type == "cpu" else "auto"
    models: dict[str, AnyModel] = {}
    samplers, steps = {}, {}
    worked: dict[str, list[float]] = {}
    bar = context.add_bar(f"speed, batch {batch}", len(systems) * (context.study.repeats + 1))
    for done, system in enumerate(systems, 1):
        model = models[system.name] = _timed_model(context, system).to(device)
        model.set_defaults(precision=precision)
        choices = range(len(model.classes)) or ["a picture"]
        labels = [choices[index % len(choices)] for index in range(batch)]
        steps[system.name] = _warmed(model, labels)
        worked[system.name] = []
        samplers[system.name] = partial(_sample, model, labels, worked[system.name])
        bar.update(done, f"warm-up of {system.name}")
    state = {"done": len(systems)}

    def measured(name: str) -> None:
        state["done"] += 1
        bar.update(state["done"], name)

    taken = in_turns(samplers, context.study.repeats, device, measured)
    rows = []
    for name, model in models.items():
        seconds = spread(taken[name])
        rows.append(
            {
                "system": name,
                "batch": batch,
                "precision": precision,
                "device": str(device),
                "parameters": parameters(model),
                "steps": steps[name],
                "tokens": model.schedule.total if isinstance(model, Model) else None,
                "seconds": asdict(seconds),
                "processor_seconds": asdict(spread(worked[name])),
                "images_per_second": batch / seconds.median,
            }
        )
    return rows


def _warmed(model: AnyModel, labels: Sequence[int | str]) -> int:
    """Compile kernels, fill caches of plans, and return the number of steps."""
    if isinstance(model, Model):
        timed(model, labels, range(len(labels)))
        return len(model.schedule)
    for state in islice(model.stream(labels), 2):  # the steps of a generator are all alike
        _ = state.images
    return state.steps


def _sample(model: AnyModel, labels: Sequence[int | str], worked: list[float]) -> None:
    """Sample a batch, and note the seconds that the processor worked for it."""
    start = time.process_time()
    timed(model, labels, range(len(labels)))
    worked.append(time.process_time() - start)


def _opened(context: Context, system: System, trained: Trained | None) -> tuple[AnyModel, EvalConfig]:
    """Return a trained or a finished model with the system's sampling settings, and its configuration.

    Raises:
        VartkError: the settings change what the weights fix.
    """
    place = str(trained.run) if trained else system.config or context.study.config
    layers = [*load_layers(place, plugins()), context.study.layer(system)]
    config = compose(EvalConfig, layers, plugins()).config
    if trained is None:
        model = load(system.model, device=context.device)
        model.set_defaults(**_sampling_settings(system, context.study.layer(system).values))
        return model, config
    model = load_any(trained.model, plugins()).to(as_device(context.device))
    if isinstance(model, Model):
        model.config.sampling = config.sampling
    else:
        own = config.sampling
        model.set_defaults(generator=plain(config)["generator"], batch=own.batch, precision=own.precision)
    return model, config


def _sampling_settings(system: System, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of sampling among those of a finished model.

    Raises:
        VartkError: some can change neither its sampling nor what it is compared with.
    """
    settings, others = dict(values.get("sampling", {})), values.keys() - {"sampling", "generator", *KEYS}
    if others:
        raise VartkError(
            f"system {system.name} is the finished model {system.model}, which {', '.join(sorted(others))} "
            f"cannot change; take settings of sampling, or of {', '.join(KEYS)}"
        )
    return settings | {key: values[key] for key in ("generator",) if key in values}


def _timed_model(context: Context, system: System) -> AnyModel:
    """Return a finished model, or one of random weights; its classes are the dataset's, if that is here."""
    if system.model:
        return _opened(context, system, None)[0]
    config = context.trainer.composed(system).config
    config.classes = class_names(config)
    model: AnyModel
    if config.generator.name == NO_GENERATOR:
        model = new_model(config, plugins())
    else:
        model = new_generator(config, plugins(), build_tokenizer(config, plugins().registry))
    draw_weights(model.modules()[-1])
    for module in model.modules():
        module.eval().requires_grad_(False)
    return model
