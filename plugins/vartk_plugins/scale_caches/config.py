"""Parameters of the caches by scales."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class Window:
    """Parameters of `window`."""

    last: int = param(1, "number of earlier scales that are kept", low=0)
    share: float | None = param(
        None, "instead of last: a share of the schedule's scales, rounded up; 1 keeps all", low=0, high=1
    )


@dataclass(kw_only=True, slots=True)
class Sink:
    """Parameters of `sink`."""

    first: int = param(2, "number of coarsest scales that are always kept", low=0)
    last: int = param(1, "number of newest earlier scales that are kept in addition", low=0)
    share: float | None = param(
        None,
        "instead of last: a share of the schedule's scales, rounded up; 1 keeps all",
        low=0,
        high=1,
    )


@dataclass(kw_only=True, slots=True)
class AmsKv:
    """Parameters of `ams_kv`."""

    condensed: int = param(2, "number of coarsest scales that are never evicted", low=0)
    c_min: int = param(3, "budget of a layer, in scales, condensed scales included", low=0)
    c_max: int = param(4, "budget of a cache-demanding layer, in scales; at least c_min", low=0)
    budget: float = param(
        0.25,
        "largest share of the schedule's tokens that is kept, on average over layers; 1 is no bound",
        above=0,
        high=1,
    )
    threshold: float = param(
        -1.0,
        "if demanding is not given: a layer is cache-demanding if the similarity of a scale's keys to "
        "those of the scale before is below this, from about -2 (opposite) to 0 (equal)",
        high=0,
    )
    demanding: list[int] | None = param(
        None, "indices (from 0) of the cache-demanding layers, as measured by `vartk calibrate`", low=0
    )
    demanding_share: float = param(
        0.5, "share of the layers that calibration takes as cache-demanding", low=0, high=1
    )
