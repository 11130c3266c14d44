"""What a scaling law is fitted to: the size, the compute and the validation of trainings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vartk_registry import VartkError

if TYPE_CHECKING:
    from ..config import Config

METRICS = {
    "loss_last": "last-scale loss",
    "loss": "mean loss",
    "error_last": "last-scale token error",
    "error": "mean token error",
}
"""What is fitted, as the VAR paper does (arXiv 2404.02905, section 4.2)."""


@dataclass(frozen=True, slots=True)
class Validation:
    """One validation of a training.

    Attributes:
        compute: floating-point operations of the training so far: three times those of the forward passes.
        loss, loss_last: cross-entropy, the mean of all tokens and of the last scale's; in nats.
        error, error_last: the share of tokens whose likeliest code is wrong, of the same tokens.

    A generator has no tokens: `loss` is its own, such as the squared error of the noise, and the others are
    None.
    """

    compute: float
    loss: float
    loss_last: float | None = None
    error: float | None = None
    error_last: float | None = None


@dataclass(frozen=True, slots=True)
class ScalingRun:
    """A training of one size.

    Attributes:
        parameters: of the transformer or the generator, everything included.
        validations: in the order of the training.
    """

    name: str
    parameters: int
    validations: tuple[Validation, ...]


def read_runs(paths: Sequence[Path]) -> list[ScalingRun]:
    """Read the runs of folders, and of JSON files that hold lists of runs as `as_json` writes them.

    Raises:
        VartkError: one of them is not there, is of the first stage, or has no validation.
    """
    runs: list[ScalingRun] = []
    for path in paths:
        runs += _read_file(path) if path.is_file() else [read_run(path)]
    return runs


def read_run(folder: Path) -> ScalingRun:
    """Read a run folder of `vartk train` transformer, both or generator; errors as `read_runs`."""
    from ..components import plugins
    from ..config import NO_GENERATOR, Config, compose, load_layers
    from ..engine.training import Run

    folder = folder / "transformer" if (folder / "transformer" / "metrics.jsonl").is_file() else folder
    if not (folder / "config.yaml").is_file():
        raise VartkError(f"{folder} is no run folder of `vartk train`; give the folders after --out there")
    config = compose(Config, load_layers(str(folder), plugins()), plugins()).config
    lines = [line for line in Run(folder).metrics() if line.get("val_loss") is not None]
    if config.generator.name != NO_GENERATOR:
        return _generator_run(folder, config, lines)
    return _transformer_run(folder, config, [line for line in lines if line.get("val_accuracy") is not None])


def _transformer_run(folder: Path, config: Config, lines: Sequence[Mapping[str, Any]]) -> ScalingRun:
    from ..bench.flops.count import count_forward
    from ..components import plugins
    from ..engine.folder import new_model
    from ..engine.weightless import weightless

    _require_validations(folder, "transformer", lines)
    with weightless():
        model = new_model(config, plugins())
    last, flops = len(model.schedule.grids) - 1, 3 * count_forward(config, "transformer")
    return ScalingRun(
        str(folder),
        sum(parameter.numel() for parameter in model.modules()[1].transformer.parameters()),
        tuple(
            Validation(
                compute=float(flops * config.train.transformer.batch * line["step"]),
                loss=line["val_loss"],
                loss_last=line[f"val_loss_{last}"],
                error=1 - line["val_accuracy"],
                error_last=1 - line[f"val_accuracy_{last}"],
            )
            for line in lines
        ),
    )


def _generator_run(folder: Path, config: Config, lines: Sequence[Mapping[str, Any]]) -> ScalingRun:
    from ..bench.flops.count import count_forward
    from ..components import plugins
    from ..engine.generators.folder import weightless_generator

    _require_validations(folder, "generator", lines)
    flops = 3 * count_forward(config, "generator") * config.train.generator.batch
    generator = weightless_generator(config, plugins()).modules()[-1]
    return ScalingRun(
        str(folder),
        sum(parameter.numel() for parameter in generator.parameters()),
        tuple(Validation(float(flops * line["step"]), line["val_loss"]) for line in lines),
    )


def _require_validations(folder: Path, stage: str, lines: Sequence[Mapping[str, Any]]) -> None:
    if not lines:
        raise VartkError(
            f"{folder} has no validation of a {stage}; give runs of the second stage, with "
            f"train.{stage}.eval_every below their steps"
        )


def as_json(runs: Sequence[ScalingRun]) -> list[dict[str, Any]]:
    """Return runs as `read_runs` reads them from a file."""
    return [asdict(run) for run in runs]


def of_json(runs: Sequence[Mapping[str, Any]]) -> list[ScalingRun]:
    """Return what `as_json` has made; `KeyError` or `TypeError` for something else."""
    return [
        ScalingRun(
            str(run["name"]), int(run["parameters"]), tuple(Validation(**each) for each in run["validations"])
        )
        for run in runs
    ]


def _read_file(path: Path) -> list[ScalingRun]:
    try:
        return of_json(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VartkError(
            f"{path} holds no runs: {error!r}; give run folders, or a JSON list of objects with name, "
            "parameters and validations (compute, loss, loss_last, error, error_last)"
        ) from error
