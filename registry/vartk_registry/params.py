"""Parameters of components: dataclasses with help and ranges, merged strictly by omegaconf."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from .errors import PluginError, VartkError, shortened, shown, suggestion


class ParamErrors(VartkError):
    """Everything that is wrong with a set of parameters; `problems` maps a key to its message."""

    def __init__(self, owner: str, problems: dict[str, str]) -> None:
        self.owner = owner
        self.problems = problems
        super().__init__("\n".join(f"{owner}: {text}" for text in problems.values()))


def param(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: Sequence[Any] | None = None,
    removed: Mapping[str, str] | None = None,
) -> Any:
    """Declare a field of a parameter dataclass.

    Args:
        default: its value when not given; lists and mappings are copied. `omegaconf.MISSING` means
            that it must be given.
        help: what it does, with its unit, for `vartk show`.
        low, high: closed bounds of a number, or of each number of a list.
        above: an open lower bound, likewise.
        choices: the values that are allowed, or allowed in a list.
        removed: former choices, each with what to do instead, such as "take 'bf16'".
    """
    metadata = {
        "help": help,
        "low": low,
        "high": high,
        "above": above,
        "choices": choices,
        "removed": removed or {},
    }
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def merge_params(config: type | None, params: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Merge `params` into the defaults of the dataclass `config`.

    Returns plain Python values. `owner` is how the messages call the component.

    Raises:
        ParamErrors: every unknown key, wrong type, value out of range and required key not given.
        PluginError: `config` is no dataclass.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if config and not dataclasses.is_dataclass(config):
        raise PluginError(f"{owner}: the parameters {config!r} are not a dataclass")
    fields = dataclasses.fields(config) if config else ()
    valid = {field.name for field in fields}
    problems: dict[str, str] = {}
    merged = OmegaConf.structured(config) if config else OmegaConf.create()
    for key, value in params.items():
        if key not in valid:
            tail = suggestion(str(key), valid) if valid else "; it takes no parameters."
            problems[key] = f"unknown parameter {key!r}{tail}"
            continue
        if _refers(value):
            problems[key] = (
                f"{key}={shown(value)} refers to another key, as only a YAML file can; give the value itself"
            )
            continue
        try:
            OmegaConf.update(merged, key, value)  # plain assignment warns where 1 is meant as 1.0
        except (OmegaConfBaseException, ValueError) as error:
            wanted = _type_in_words(get_type_hints(config)[key])
            reason = shortened(str(error).splitlines()[0])
            problems[key] = f"{key}={shown(value)} must be {wanted}" if wanted else f"{key}: {reason}"
    plain: dict[str, Any] = OmegaConf.to_container(merged)  # type: ignore[assignment]
    for field in fields:
        if field.name in problems:
            continue
        if OmegaConf.is_missing(merged, field.name):
            problems[field.name] = _required(field)
        elif text := _what_is_wrong(field, plain[field.name]):
            problems[field.name] = text
    if problems:
        raise ParamErrors(owner, problems)
    return plain


def changed(config: type | None, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are not at the defaults of their dataclass."""
    defaults: dict[str, Any] = {}
    for field in dataclasses.fields(config) if config else ():
        make = field.default_factory
        defaults[field.name] = field.default if make is dataclasses.MISSING else make()
    return {key: value for key, value in params.items() if value != defaults[key]}


_WORDS = {
    bool: ("true or false", "values true or false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
}


def _type_in_words(annotation: Any) -> str:
    """Return what a value of a parameter's type is called, or nothing for types without a common name."""
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    origin = get_origin(annotation)
    if origin is list:
        item = _WORDS.get(kinds[0])
        return f"a list of {item[1]}, as in [A,B]" if item else ""
    if origin in (Union, UnionType) and len(kinds) == 1:
        words = _type_in_words(kinds[0])
        return f"{words}, or null" if words else ""
    return _WORDS[annotation][0] if annotation in _WORDS else ""


def _refers(value: Any) -> bool:
    """Return whether a value holds references to other keys, `${...}`, which omegaconf would not resolve."""
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, Mapping):
        return any(map(_refers, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_refers, value))


_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "low": operator.ge,
    "high": operator.le,
    "above": operator.gt,
}


def _required(field: dataclasses.Field[Any]) -> str:
    help = field.metadata.get("help")
    return f"{field.name} must be given" + (f": {help}" if help else "")


def _what_is_wrong(field: dataclasses.Field[Any], value: Any) -> str:
    """Return what is wrong with a value, or with the first wrong one of a list or of lists of lists."""
    rule = field.metadata
    for where, item in _items(field.name, value):
        if item is None:
            continue
        if isinstance(item, str) and "\0" in item:
            return f"{where}={item!r} holds a NUL byte, which no name and no path can; leave it out"
        if (choices := rule.get("choices")) is not None and item not in choices:
            if advice := rule.get("removed", {}).get(str(item)):
                return f"{where}={shown(item)} has been removed; {advice}"
            return f"{where}={shown(item)}{suggestion(spelled(item), map(spelled, choices))}"
        if isinstance(item, float) and not math.isfinite(item):
            bounds = " and ".join(filter(None, ("finite", describe_range(rule))))
            return f"{where}={item} is out of range; it must be {bounds}"
        if any(
            (bound := rule.get(key)) is not None and not within(item, bound)
            for key, within in _BOUNDS.items()
        ):
            return f"{where}={item} is out of range; it must be {describe_range(rule)}"
    return ""


def _items(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a value, or the values of nested lists, each with its place."""
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _items(f"{where}[{index}]", item)
    else:
        yield where, value


def spelled(value: Any) -> str:
    """Return a plain value as YAML and the command line spell it: `true`, `null`, `auto`."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def describe_range(rule: Mapping[str, Any]) -> str:
    """Return the bounds of a parameter's metadata in words: "at least 0 and at most 1"."""
    words = (("low", "at least"), ("above", "above"), ("high", "at most"))
    return " and ".join(f"{word} {rule[key]:g}" for key, word in words if rule.get(key) is not None)
