"""The parameters of the loggers."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class WandbConfig:
    """Where a run is shown in Weights & Biases."""

    project: str = param("vartk", "the project; it is created if it does not exist")
    entity: str | None = param(None, "the user or team; if not given, the account's default")
    run_name: str | None = param(None, "name of the run; if not given, a random name")
    mode: str = param(
        "online",
        "online: upload; offline: write files that `wandb sync` uploads later; disabled: write nothing",
        choices=("online", "offline", "disabled"),
    )
