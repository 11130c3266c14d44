"""The parameters of `inception`."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class InceptionConfig:
    """Where the weights are."""

    weights: str = param("", "file of torch-fidelity's Inception weights; empty downloads it once")
