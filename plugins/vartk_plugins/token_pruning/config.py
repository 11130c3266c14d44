"""Parameters of the caches that save work."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class Place:
    """Which layers are pruned, and from where in the schedule."""

    first: int = param(0, "index of the first pruned layer, from 0; negative numbers count from the end")
    last: int = param(-1, "index of the last pruned layer, counted in the same way")
    depth: list[float] | None = param(
        None,
        "instead of first and last: shares of the depth, 0 (first layer) to 1 (last), such as [0.1, 0.85]",
        low=0,
        high=1,
    )
    starts: list[float] | None = param(
        None,
        "where each ratio begins to hold, as a share of the schedule; if not given, the ratios are for "
        "the last scales",
        above=0,
        high=1,
    )


@dataclass(kw_only=True, slots=True)
class FastVar(Place):
    """Parameters of `fastvar`."""

    ratios: list[float] = param(
        [0.5, 0.75],
        "shares of the tokens that the last scales do not compute, one per scale; 1 skips a scale at the end",
        low=0,
        high=1,
    )


@dataclass(kw_only=True, slots=True)
class ToMe(Place):
    """Parameters of `tome`."""

    ratios: list[float] = param(
        [0.5, 0.5],
        "shares of the tokens that the last scales merge into others, one per scale",
        low=0,
        high=0.75,
    )


@dataclass(kw_only=True, slots=True)
class FasterVar:
    """Parameters of `fastervar`."""

    scales: int = param(2, "number of scales, from the last, that are computed in a low rank", low=1)
    ratios: list[list[float]] = param(
        [[0.3]],
        "shares of the tokens that these scales compute, a list per scale with a number per group of blocks; "
        "one number holds for all groups, one list for all scales; 0 skips a scale at the end",
        low=0,
        high=1,
    )
    group: int = param(4, "blocks of a group", low=1)
    drop_conditional: bool = param(True, "these scales run the null branch of guidance alone")
    alpha: float = param(
        0.98, "share of the energy that the ratios of `vartk calibrate` hold", above=0, high=1
    )


@dataclass(kw_only=True, slots=True)
class SkipLast:
    """Parameters of `skip_last`."""

    scales: int = param(1, "number of scales at the end that are not generated", low=0)
