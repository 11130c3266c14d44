"""Parameters of the `class` conditioner."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class ClassConfig:
    """How many classes there are, where the model has no names for them."""

    count: int | None = param(
        None, "number of classes; if not given, the number of the model's class names", low=1
    )
