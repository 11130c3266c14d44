"""What a scaling law is fitted to: the size, the compute and the validation of trainings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vartk_registry import VartkError

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
    """

    compute: float
    loss: float
    loss_last: float
    error: float
    error_last: float


@dataclass(frozen=True, slots=True)
class ScalingRun:
    """A training of one size.

    Attributes:
        parameters: of the transformer, everything included.
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
    """Read a run folder of `vartk train transformer` or `vartk train both`; errors as `read_runs`."""
    from ..bench.flops.count import count_forward
    from ..components import plugins
    from ..config import Config, compose, load_layers
    from ..engine.folder import new_model
    from ..engine.training import Run
    from ..engine.weightless import weightless

    folder = folder / "transformer" if (folder / "transformer" / "metrics.jsonl").is_file() else folder
    if not (folder / "config.yaml").is_file():
        raise VartkError(f"{folder} is no run folder of `vartk train`; give the folders after --out there")
    lines = [line for line in Run(folder).metrics() if line.get("val_loss") is not None]
    lines = [line for line in lines if line.get("val_accuracy") is not None]
    if not lines:
        raise VartkError(
            f"{folder} has no validation of a transformer; give runs of the second stage, with "
            "train.transformer.eval_every below their steps"
        )
    config = compose(Config, load_layers(str(folder), plugins()), plugins()).config
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
