"""The check of a registered component, by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..errors import Unsupported
from ..interfaces import ScheduleFactory
from ..registry import Registry
from .attention import check_attention
from .cache import check_cache
from .data import check_dataset, check_metric
from .discriminator import check_discriminator
from .feature import check_feature
from .model import check_conditioner
from .rules import require
from .sampling import check_guidance, check_sampler, check_schedule
from .tokens import check_quantizer


def check_component(registry: Registry, kind: str, name: str) -> None:
    """Build a component with its default parameters and check it.

    Raises:
        AssertionError, PluginError: it breaks the contract; the message names the rule.
        Unsupported: its kind cannot be checked by name alone, or it cannot run on this machine.
        VartkError: it cannot be built with its default parameters, so nothing was checked.
    """
    spec = registry.find(kind, name)
    if config := registry.config_class(spec):
        for field in dataclasses.fields(config):
            require(
                bool(field.metadata.get("help")),
                f"parameter {field.name!r} has no help; declare it with vartk_registry.param",
            )
    if kind not in _CHECKS:
        raise Unsupported(
            f"{kind} {name!r} cannot be checked by its name alone; build a small one in a test, "
            "and check it there with vartk_registry.testing"
        )
    runtime, check = _CHECKS[kind]
    check(registry.build(kind, name, {}, **runtime))


def _schedule(factory: ScheduleFactory) -> None:
    latent = factory((16, 16)).latent  # a fixed list ends where it ends
    check_schedule(factory, latent)


def _conditioner(conditioner: Any) -> None:
    check_conditioner(conditioner, conditioner.choices[:2] or ["a red cat", "two dogs"])


_CHECKS: dict[str, tuple[dict[str, Any], Callable[[Any], None]]] = {
    "schedule": ({}, _schedule),
    "quantizer": ({"dim": 16}, check_quantizer),
    "conditioner": ({"width": 16, "classes": ["cat", "dog"]}, _conditioner),
    "attention": ({}, check_attention),
    "cache": ({}, check_cache),
    "guidance": ({}, check_guidance),
    "sampler": ({}, check_sampler),
    "dataset": ({"split": "train"}, check_dataset),
    "feature": ({}, check_feature),
    "discriminator": ({}, check_discriminator),
    "metric": ({}, check_metric),
}
"""The kinds that can be built from a name alone: the arguments of the build, and the check."""
