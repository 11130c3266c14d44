"""Parameters of cache strategies that were measured on a model: defaults wherever a cache names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vartk_registry import ParamErrors, Plugins, UnknownName, VartkError

CALIBRATION = "calibration"
"""The key of a configuration that holds them: {strategy: {parameter: value}}."""


def checked(
    calibration: Any, sources: Mapping[str, str], problems: list[str], plugins: Plugins
) -> dict[str, Mapping[str, Any]]:
    """Return what is right of a calibration, and collect what is wrong with the rest."""
    good: dict[str, Mapping[str, Any]] = {}
    for name, params in calibration.items() if isinstance(calibration, Mapping) else ():
        here = f"{CALIBRATION}.{name}"
        if not isinstance(params, Mapping):
            problems.append(f"{here} must hold parameters of cache {name!r}, not {params!r}")
            continue
        try:
            plugins.registry.params("cache", name, params)
        except ParamErrors as error:
            wrong = {key: text for key, text in error.problems.items() if key in params}
            problems += [
                f"{sources.get(f'{here}.{key}', here)}: {here}: {text}" for key, text in wrong.items()
            ]
            if wrong:
                continue
        except VartkError as error:
            problems.append(f"{here}: {error}")
            continue
        good[name] = params
    return good


def fill_in(
    tree: Mapping[str, Any],
    measured: Mapping[str, Mapping[str, Any]],
    sources: dict[str, str],
    plugins: Plugins,
) -> None:
    """Put what was measured into a merged tree where a cache, or a part of a chain, lacks it."""
    for branch, path in ((tree, "cache"), (tree.get("sampling", {}), "sampling.cache")):
        slot = branch.get("cache")
        if not measured or not isinstance(slot, dict):
            continue
        found = _measured(slot, measured, plugins)
        sources.update({f"{path}.{key}": CALIBRATION for key in found if key not in slot})
        slot.update({**found, **slot})
        if isinstance(slot.get("parts"), list):
            slot["parts"] = [
                {**_measured(part, measured, plugins), **part} if isinstance(part, Mapping) else part
                for part in slot["parts"]
            ]


def _measured(
    slot: Mapping[str, Any], measured: Mapping[str, Mapping[str, Any]], plugins: Plugins
) -> Mapping[str, Any]:
    try:
        return measured.get(plugins.registry.find("cache", str(slot.get("name"))).name, {})
    except UnknownName:  # reported with the slot, or a chain
        return {}
