"""The parameters of the loggers."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class WandbConfig:
    """Where a run is shown in Weights & Biases."""

    project: str = param("vartk", "the project, made if it does not exist")
    entity: str | None = param(None, "the user or team; the account's default where not given")
    run_name: str | None = param(None, "how the run is called; a random name where not given")
    mode: str = param(
        "online",
        "online; offline: files that `wandb sync` uploads later; disabled: nothing",
        choices=("online", "offline", "disabled"),
    )
