"""Composes a configuration from layers, checks every key, and remembers where each came from."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from vartk_registry import ParamErrors, Plugins, UnknownName, VartkError, shown
from vartk_registry.params import merge_params

from .calibration import CALIBRATION, checked, fill_in
from .schema import ALIASES, CHAIN, ModelConfig, Slot

T = TypeVar("T")
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Layer:
    """A nested mapping of keys to values, and the name of the place it came from."""

    source: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Composed(Generic[T]):
    """A checked configuration, and for each key's dotted path the source of its value."""

    config: T
    sources: dict[str, str]


class ConfigErrors(VartkError):
    """Everything that is wrong with a configuration, a line a problem, each with its key's path."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        single = len(self.problems) == 1
        text = self.problems[0] if single else "\n  ".join([f"{len(problems)} problems:", *self.problems])
        super().__init__(text)


def compose(
    schema: type[T],
    layers: Iterable[Layer],
    plugins: Plugins,
    calibration: Mapping[str, Any] | None = None,
) -> Composed[T]:
    """Merge layers, later ones winning, into `schema`, and check the result.

    Args:
        calibration: defaults of cache strategies' parameters, as `ModelConfig.calibration` holds them.

    Raises:
        ConfigErrors: unknown keys and components, wrong types, values out of range and what plugins
            find wrong with the whole, all at once.
    """
    tree: dict[str, Any] = {}
    sources: dict[str, str] = {}
    problems: list[str] = []
    for layer in layers:
        _merge(schema, tree, layer.values, layer.source, "", sources, problems, schema)
    measured = checked(calibration or tree.get(CALIBRATION) or {}, sources, problems, plugins)
    fill_in(tree, measured, sources, plugins)
    config = _check(schema, tree, "", sources, problems, plugins)
    if not problems:
        problems = plugins.check(plain(config))
    if problems:
        raise ConfigErrors(problems)
    return Composed(config, {path: sources.get(path, DEFAULT) for path, _ in leaves(plain(config))})


def plain(config: Any) -> dict[str, Any]:
    """Return a configuration as nested mappings, slots as `{name, **params}`: what YAML files hold."""
    tree = {}
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        if isinstance(value, Slot):
            value = {"name": value.name, **value.params}
        elif dataclasses.is_dataclass(value):
            value = plain(value)
        elif isinstance(value, tuple):
            value = list(value)
        tree[entry.name] = value
    return tree


def model_part(config: ModelConfig) -> dict[str, Any]:
    """Return the keys of a configuration that `model.yaml` holds, as nested mappings."""
    keys = {entry.name for entry in dataclasses.fields(ModelConfig)}
    return {key: value for key, value in plain(config).items() if key in keys}


def leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the (dotted path, value) pairs of nested mappings."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _types(schema: type) -> dict[str, Any]:
    return typing.get_type_hints(schema)


def _merge(
    schema: type,
    tree: dict[str, Any],
    values: Mapping[str, Any],
    source: str,
    path: str,
    sources: dict[str, str],
    problems: list[str],
    root: type,
) -> None:
    types = _types(schema)
    entries = {entry.name: entry for entry in dataclasses.fields(schema)}
    for given, value in values.items():
        key = ALIASES.get(f"{path}{given}", given)
        here = f"{path}{key}"
        if key not in types:
            problems.append(f"{source}: unknown key {here!r}{_nearest(here, root)}")
        elif types[key] is Slot:
            _merge_slot(tree, entries[key], value, source, here, sources, problems)
        elif dataclasses.is_dataclass(types[key]):
            if not isinstance(value, Mapping):
                keys = ", ".join(f"{here}.{name}" for name in _types(types[key]))
                problems.append(
                    f"{source}: {here} holds keys and cannot be {shown(value)}. Set one of: {keys}"
                )
                continue
            branch = tree.setdefault(key, {})
            _merge(types[key], branch, value, source, f"{here}.", sources, problems, root)
        else:
            tree[key] = value
            sources.update({place: source for place, _ in leaves({key: value}, path)})


def _merge_slot(
    tree: dict[str, Any],
    entry: dataclasses.Field[Any],
    value: Any,
    source: str,
    here: str,
    sources: dict[str, str],
    problems: list[str],
) -> None:
    value = {"name": value} if isinstance(value, str) else value
    if entry.metadata["chained"] and isinstance(value, (list, tuple)):
        parts = [{"name": part} if isinstance(part, str) else part for part in value]
        value = {"name": CHAIN, "parts": parts}
    if not isinstance(value, Mapping) or not isinstance(value.get("name", ""), str):
        problems.append(f"{source}: {here}={shown(value)} must be a component's name, or its parameters")
        return
    before = tree.get(entry.name, {})
    named = before.get("name", entry.default_factory().name)  # type: ignore[misc]
    replaced = value.get("name", named) != named
    tree[entry.name] = dict(value) if replaced else {**before, **value}
    if replaced:
        for old in [path for path in sources if path.startswith(f"{here}.")]:
            del sources[old]
    sources.update({f"{here}.{name}": source for name in value})


def _check(
    schema: type[T],
    tree: Mapping[str, Any],
    path: str,
    sources: Mapping[str, str],
    problems: list[str],
    plugins: Plugins,
) -> T:
    """Build `schema` from a merged tree; problems are collected, and defaults stand in for them."""
    built: dict[str, Any] = {}
    plain_values = {}
    types = _types(schema)
    for entry in dataclasses.fields(schema):  # type: ignore[arg-type]
        value = tree.get(entry.name)
        here = f"{path}{entry.name}"
        if types[entry.name] is Slot:
            built[entry.name] = _check_slot(entry, value or {}, here, sources, problems, plugins)
        elif dataclasses.is_dataclass(types[entry.name]):
            built[entry.name] = _check(types[entry.name], value or {}, f"{here}.", sources, problems, plugins)
        elif entry.name in tree:
            plain_values[entry.name] = value
    try:
        merged = merge_params(schema, plain_values, "")
        built.update({key: merged[key] for key in merged if key not in built})
    except ParamErrors as error:
        problems.extend(
            f"{sources.get(path + key, DEFAULT)}: {path}{text}" for key, text in error.problems.items()
        )
    return schema(**built)


def _check_slot(
    entry: dataclasses.Field[Any],
    value: Mapping[str, Any],
    here: str,
    sources: Mapping[str, str],
    problems: list[str],
    plugins: Plugins,
) -> Slot:
    default: Slot = entry.default_factory()  # type: ignore[misc]
    name = value.get("name", default.name)
    base = default.params if name == default.name else {}
    params = {**base, **{key: v for key, v in value.items() if key != "name"}}
    slot = Slot(name=str(name), params=params)
    source = sources.get(f"{here}.name", DEFAULT)
    if slot.name in entry.metadata["also"]:
        if params:
            problems.append(f"{source}: {here}={name} takes no parameters, {shown(params)} was given")
    elif slot.name == CHAIN and entry.metadata["chained"]:
        _check_chain(entry, slot, here, sources, problems, plugins)
    else:
        _check_component(entry, slot, here, source, sources, problems, plugins)
    return slot


def _check_chain(
    entry: dataclasses.Field[Any],
    chain: Slot,
    here: str,
    sources: Mapping[str, str],
    problems: list[str],
    plugins: Plugins,
) -> None:
    """Check the parts of a chain in place, each as strictly as a slot."""
    parts = chain.params.pop("parts", None)
    for key in chain.params:
        problems.append(
            f"{sources.get(f'{here}.{key}', DEFAULT)}: {here}.{key}: a chain has no parameters of its own; "
            f"give it to a part, as in [NAME, {{name: NAME, {key}: VALUE}}]"
        )
    chain.params = {"parts": []}
    source = sources.get(f"{here}.parts", DEFAULT)
    for index, part in enumerate(parts if isinstance(parts, list) and parts else [None]):
        path = f"{here}.parts[{index}]"
        if not isinstance(part, Mapping) or "name" not in part:
            problems.append(
                f"{source}: {path}={shown(part)} must be a component's name, or a mapping with its name and "
                "parameters, as in [NAME, {name: NAME, KEY: VALUE}]"
            )
            continue
        slot = Slot(name=str(part["name"]), params={k: v for k, v in part.items() if k != "name"})
        _check_component(entry, slot, path, source, sources, problems, plugins)
        chain.params["parts"].append({"name": slot.name, **slot.params})


def _check_component(
    entry: dataclasses.Field[Any],
    slot: Slot,
    here: str,
    source: str,
    sources: Mapping[str, str],
    problems: list[str],
    plugins: Plugins,
) -> None:
    """Check a component's name and parameters, and fill in its defaults, in place."""
    kind = entry.metadata["kind"]
    try:
        slot.params = plugins.registry.params(kind, slot.name, slot.params)
        slot.name = plugins.registry.find(kind, slot.name).name
    except ParamErrors as error:
        for key, text in error.problems.items():
            origin = sources.get(f"{here}.{key}", source)
            problems.append(f"{origin}: {here}.{key} of {kind} {slot.name!r}: {text}")
    except UnknownName as error:
        valid = entry.metadata["also"]
        extra = f" or {', '.join(valid)}" if valid else ""
        problems.append(f"{source}: {here}: {error}{extra}")
    except VartkError as error:
        problems.append(f"{source}: {here}: {error}")


def _nearest(path: str, root: type) -> str:
    """Return the end of the message about an unknown key: the same key elsewhere, or its neighbours."""
    known = list(_paths(root))
    parent, _, last = path.rpartition(".")
    elsewhere = [key for key in known if key.rpartition(".")[2] == last]
    if elsewhere:
        return f"; did you mean {' or '.join(elsewhere)}?"
    if near := difflib.get_close_matches(path, known, n=1, cutoff=0.75):
        return f"; did you mean {near[0]}?"
    siblings = {key.rpartition(".")[2]: key for key in known if key.rpartition(".")[0] == parent}
    near = difflib.get_close_matches(last, siblings, n=1, cutoff=0.5)
    hint = f"; did you mean {siblings[near[0]]}?" if near else "."
    return f"{hint} Valid: {', '.join(siblings.values())}"


def _paths(schema: type, path: str = "") -> Iterator[str]:
    for key, annotation in _types(schema).items():
        yield f"{path}{key}"
        if dataclasses.is_dataclass(annotation) and annotation is not Slot:
            yield from _paths(typing.cast(type, annotation), f"{path}{key}.")
