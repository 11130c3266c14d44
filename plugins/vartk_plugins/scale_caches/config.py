"""Parameters of the caches by scales."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class Window:
    """Parameters of `window`."""

    last: int = param(1, "scales kept beside the one in work, in scales", low=0)
    share: float | None = param(
        None, "in the place of last: a share of the schedule's scales, rounded up; 1 keeps all", low=0, high=1
    )


@dataclass(kw_only=True, slots=True)
class Sink:
    """Parameters of `sink`."""

    first: int = param(2, "coarsest scales that are kept throughout, in scales", low=0)
    last: int = param(1, "newest scales kept beside them and the one in work, in scales", low=0)
    share: float | None = param(
        None,
        "in the place of last: a share of the schedule's scales, rounded up; 1 keeps all",
        low=0,
        high=1,
    )


@dataclass(kw_only=True, slots=True)
class AmsKv:
    """Parameters of `ams_kv`."""

    condensed: int = param(2, "coarsest scales that are never evicted, in scales", low=0)
    c_min: int = param(3, "budget of a layer, condensed scales included, in scales", low=0)
    c_max: int = param(4, "budget of a cache-demanding layer, in scales; at least c_min", low=0)
    budget: float = param(
        0.25,
        "tokens kept at most, as a share of the schedule's, the mean over layers; 1 is no bound",
        above=0,
        high=1,
    )
    threshold: float = param(
        -1.0,
        "without demanding: similarity of a scale's keys to those of the scale before, from about -2 "
        "(opposite) to 0 (equal), below which a layer is cache-demanding",
        high=0,
    )
    demanding: list[int] | None = param(
        None, "the cache-demanding layers, by index from 0, as measured by `vartk calibrate`", low=0
    )
    demanding_share: float = param(
        0.5, "share of the layers that calibration calls cache-demanding", low=0, high=1
    )
