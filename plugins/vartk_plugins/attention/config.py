"""Parameters of the `sdpa` backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class SdpaConfig:
    """How the calls are made."""

    dense: Any = param(
        "auto",
        "true: one call under a dense mask, as in the original VAR; false: a call for each segment; auto: "
        "dense on a GPU, where each call costs a launch",
        choices=("auto", True, False),
    )
