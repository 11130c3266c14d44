"""Measures a cache strategy's parameters on a model, and keeps them in its folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from vartk_registry import Registry, VartkError
from vartk_registry.interfaces import Calibratable

from ..config import CALIBRATION, Layer, ModelConfig, compose, read_yaml
from ..engine.cache import build_cache
from ..engine.folder import CONFIG
from ..engine.model import Model
from ..files import whole_file
from .sample import Bar, conditions


def calibrate(
    model: Model,
    settings: Mapping[str, Any],
    count: int,
    seed: int,
    add_bar: Callable[[str, int], Bar],
    labels: Sequence[Any] = (),
) -> tuple[str, dict[str, Any]]:
    """Sample with the recorder of a cache strategy; return the strategy's name, and what it found.

    Args:
        settings: nested keys of the sampling configuration; `cache` names the strategy.
        count: images; seed: of the first one, the others counting up from it.
        labels: as for `conditions`, taken in turn.

    Raises:
        VartkError: the strategy has nothing to calibrate; the message names those that have. Errors of
            `conditions`.
    """
    sampling, registry = model.sampling(**settings), model.plugins.registry
    name = sampling.cache.name
    strategy = build_cache(sampling.cache, registry)
    if not isinstance(strategy, Calibratable):
        raise VartkError(
            f"cache {name!r} has no parameters that depend on the model; those that have: "
            f"{', '.join(calibratable(registry)) or 'none'}, as in `vartk calibrate MODEL cache=NAME`"
        )
    recorder = strategy.calibration()
    choices, _ = conditions(model, labels)
    bar = add_bar(f"calibrate {name}", count)
    for start in range(0, count, sampling.batch):
        rows = range(start, min(start + sampling.batch, count))
        drawn = [choices[row % len(choices)] for row in rows]
        seeds = [seed + row for row in rows]
        for state in model.stream(drawn, seed=seeds, strategy=recorder, **settings):
            share = (state.step + 1) / len(state.schedule)
            bar.update(start + len(drawn) * share, state.place)
    return name, recorder.parameters()


def calibratable(registry: Registry) -> list[str]:
    """Return the names of the cache strategies that can be calibrated."""
    names = []
    for spec in registry.specs("cache"):
        try:
            strategy = registry.build("cache", spec.name, {})
        except VartkError:  # one that needs parameters, or a library
            continue
        if isinstance(strategy, Calibratable):
            names.append(spec.name)
    return names


def keep_calibration(model: Model, folder: Path, name: str, parameters: Mapping[str, Any]) -> None:
    """Write a strategy's parameters into a model folder, whole or not at all.

    They take the place of those it had; where the folder's own cache is the strategy, of its settings, too.

    Raises:
        VartkError: they are not parameters of the strategy, or the folder cannot be written.
    """
    from omegaconf import OmegaConf

    path = folder / CONFIG
    values = read_yaml(path)
    values[CALIBRATION] = {**(values.get(CALIBRATION) or {}), name: dict(parameters)}
    sampling = values.get("sampling") or {}
    if "cache" in sampling:
        values["sampling"] = {**sampling, "cache": _without(sampling["cache"], name, parameters)}
    compose(ModelConfig, [Layer(str(path), values)], model.plugins)
    with whole_file(path) as aside:
        aside.write_text(OmegaConf.to_yaml(values))


def _without(cache: Any, name: str, keys: Collection[str]) -> Any:
    """Return a cache slot as a file holds it, or a chain, without some keys of the strategy of a name."""
    if isinstance(cache, list):
        return [_without(part, name, keys) for part in cache]
    if not isinstance(cache, dict):
        return cache
    if cache.get("name") == name:
        return {key: value for key, value in cache.items() if key not in keys}
    return {key: _without(value, name, keys) if key == "parts" else value for key, value in cache.items()}
