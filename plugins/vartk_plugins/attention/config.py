"""Parameters of the `sdpa` backend."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class SdpaConfig:
    """How the calls are made."""

    dense: bool = param(False, "one call under a dense mask, as in the original VAR; slower, for comparison")
