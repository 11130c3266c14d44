"""Where the layers of a configuration come from: presets, YAML files and `key=value` overrides."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vartk_registry import Plugins, VartkError, require_reachable, shortened, suggestion

from .compose import Layer

SAMPLING = "sampling"
"""The one key of a preset of sampling."""

PRESET = "preset"
"""The setting of sampling that names one."""


def load_layers(name: str, plugins: Plugins) -> list[Layer]:
    """Return the layers of a preset or a YAML file, those that it `extends` first.

    Args:
        name: a preset's name, a YAML file, or a folder that holds `config.yaml` (a training run).

    Raises:
        VartkError: no such preset or file, invalid YAML, files that extend each other in a circle, or a
            preset of sampling, which says nothing of a model.
    """
    layers = _layers(name, plugins)
    if name in plugins.presets and _keys(layers) == {SAMPLING}:
        raise VartkError(
            f"the preset {name} says how images are sampled, and nothing of a model or its training; give it "
            f"beside a model, as in `vartk sample MODEL {PRESET}={name}`, or in a file of your own, as in "
            f"extends: [demo, {name}]"
        )
    return layers


def with_preset(settings: Layer, plugins: Plugins) -> list[Layer]:
    """Return the layer of settings of sampling; under it those of the preset that its `preset` names.

    Raises:
        VartkError: no such preset or file, or it sets anything but sampling.
    """
    if PRESET not in settings.values:
        return [settings]
    name = str(settings.values[PRESET])
    layers = _layers(name, plugins)
    keys = _keys(layers)
    if keys != {SAMPLING}:
        known = ", ".join(each for each in plugins.presets if _keys(_layers(each, plugins)) == {SAMPLING})
        others = ", ".join(sorted(keys - {SAMPLING})) or "nothing"
        raise VartkError(
            f"{settings.source}: {PRESET}={name} is no preset of sampling: it sets {others}, where the key "
            f"{SAMPLING} should be all. Presets of sampling: {known}"
        )
    own = {key: value for key, value in settings.values.items() if key != PRESET}
    return [*(_sampling(layer) for layer in layers if layer.values), Layer(settings.source, own)]


def _sampling(layer: Layer) -> Layer:
    values = layer.values[SAMPLING]
    if not isinstance(values, Mapping):
        raise VartkError(f"{layer.source}: {SAMPLING} holds keys and cannot be {values!r}")
    return Layer(layer.source, values)


def _keys(layers: Sequence[Layer]) -> set[str]:
    return {key for layer in layers for key in layer.values}


def _layers(name: str, plugins: Plugins, seen: tuple[str, ...] = ()) -> list[Layer]:
    """Return the layers of `load_layers`, whatever they set."""
    if name in seen:
        raise VartkError(f"configurations extend each other in a circle: {' -> '.join((*seen, name))}")
    path = Path(name)
    if os.path.isdir(path):
        path /= "config.yaml"
    if path.suffix in (".yaml", ".yml") and os.path.isfile(path):
        source = str(path)
    elif name in plugins.presets:
        source, path = f"preset {name}", plugins.presets[name].path
    else:
        require_reachable(path)
        raise VartkError(
            f"no configuration {shortened(name)!r}: neither a YAML file nor a preset"
            f"{suggestion(name, plugins.presets)}"
        )
    values = read_yaml(path)
    extends = values.pop("extends", [])
    parents = [extends] if isinstance(extends, str) else extends
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise VartkError(f"{source}: extends must be a name or a list of names, not {extends!r}")
    inherited = [layer for parent in parents for layer in _layers(parent, plugins, (*seen, name))]
    return [*inherited, Layer(source, values)]


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file, its `${...}` references resolved."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        values = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise VartkError(f"{path} is not a valid YAML configuration: {error}") from error
    except OSError as error:
        raise VartkError(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(values, dict):
        raise VartkError(f"{path} must hold keys and values, not a {type(values).__name__}")
    return {str(key): value for key, value in values.items()}


def parse_overrides(overrides: Iterable[str], source: str = "command line") -> Layer:
    """Return the layer of `key=value` arguments; values are read as YAML (`3`, `1e-4`, `[1,2]`, `true`)."""
    from omegaconf import OmegaConf
    from yaml import YAMLError

    tree: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise VartkError(f"{override!r} is not a setting; write key=value, as in guidance.scale=3")
        try:
            value = OmegaConf.to_container(OmegaConf.create(f"value: {text}"))["value"]  # type: ignore[index,call-overload]
        except (YAMLError, UnicodeEncodeError) as error:
            raise VartkError(f"{override!r}: {text!r} is not a valid YAML value") from error
        tree = _put(tree, key, value)
    return Layer(source, tree)


def nest(settings: Mapping[str, Any], source: str) -> Layer:
    """Return the layer of dotted keys with values that are Python objects already."""
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        tree = _put(tree, key, value)
    return Layer(source, tree)


def _put(tree: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return `tree` with the value at a dotted path."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return _merged(tree, value)


def _merged(old: Any, new: Any) -> Any:
    """Return `new` over `old`, key by key; `slot=name` and `slot.key=value` meet in either order."""
    if isinstance(old, str) and isinstance(new, Mapping):
        old = {"name": old}
    if isinstance(old, Mapping) and isinstance(new, str):
        new = {"name": new}
    if isinstance(old, (list, tuple)) and isinstance(new, Mapping):
        raise VartkError(
            f"{list(old)} is a list and takes no {', '.join(new)} beside it; give that to one of its parts, "
            f"as in [NAME, {{name: NAME, {next(iter(new))}: VALUE}}]"
        )
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
