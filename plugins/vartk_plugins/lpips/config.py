"""The parameters of `lpips`."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class LpipsConfig:
    """Which network looks."""

    net: str = param(
        "vgg",
        "the network: vgg is common for losses, alex for reports; squeeze is the smallest",
        choices=("vgg", "alex", "squeeze"),
    )
