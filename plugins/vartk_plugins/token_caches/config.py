"""Parameters of the caches by tokens."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class Budget:
    """What all of them have."""

    budget: float = param(0.25, "share of the schedule's tokens that is kept; 1 keeps all", above=0, high=1)
    tokens: int | None = param(None, "instead of budget: number of tokens that are kept", low=1)


@dataclass(kw_only=True, slots=True)
class H2o(Budget):
    """Parameters of `h2o`."""

    recent: float = param(0.5, "share of the budget for the newest tokens", low=0, high=1)


@dataclass(kw_only=True, slots=True)
class ScaleKv(Budget):
    """Parameters of `scale_kv`; the budget is the mean over layers."""

    refiner: float = param(0.25, "budget of a refiner, as a share of a drafter's", above=0, high=1)
    drafters: list[list[int]] = param(
        [],
        "for each layer, indices (from 0) of the scales at which it attends broadly, as measured by "
        "`vartk calibrate`; if empty, all layers have the same budget",
    )
    drafter_share: float = param(
        0.5, "share of the (layer, scale) pairs that calibration takes as drafters", low=0, high=1
    )


@dataclass(kw_only=True, slots=True)
class Hack(Budget):
    """Parameters of `hack`; the budget is the mean over heads."""

    contextual_budget: float = param(
        0.25, "budget of a contextual head, as a share of a structural one's", above=0, high=1
    )
    contextual: list[list[int]] = param(
        [],
        "for each layer, indices (from 0) of its contextual heads, as measured by `vartk calibrate`; if "
        "empty, all heads are structural",
    )
    contextual_share: float = param(
        0.5, "share of all heads that calibration takes as contextual", low=0, high=1
    )
