"""Parameters of components: dataclasses with help and ranges, merged strictly by omegaconf."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import VartkError, suggestion


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
) -> Any:
    """Declare a field of a parameter dataclass.

    Args:
        default: its value when not given; lists and mappings are copied.
        help: what it does, with its unit, for `vartk show`.
        low, high: closed bounds of a number. above: an open lower bound.
        choices: the values that are allowed.
    """
    metadata = {"help": help, "low": low, "high": high, "above": above, "choices": choices}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def merge_params(config: type | None, params: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Merge `params` into the defaults of the dataclass `config`.

    Returns plain Python values. Raises `ParamErrors` with every unknown key, wrong type and value out
    of range at once; `owner` is how the messages call the component.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    valid = {field.name for field in dataclasses.fields(config)} if config else set()
    problems: dict[str, str] = {}
    merged = OmegaConf.structured(config) if config else OmegaConf.create()
    for key, value in params.items():
        if key not in valid:
            tail = suggestion(key, valid) if valid else "; it takes no parameters."
            problems[key] = f"unknown parameter {key!r}{tail}"
            continue
        try:
            merged[key] = value
        except (OmegaConfBaseException, ValueError) as error:
            problems[key] = f"{key}: {str(error).splitlines()[0]}"
    plain: dict[str, Any] = OmegaConf.to_container(merged)  # type: ignore[assignment]
    for field in dataclasses.fields(config) if config else ():
        if field.name not in problems and (text := _out_of_range(field, plain[field.name])):
            problems[field.name] = text
    if problems:
        raise ParamErrors(owner, problems)
    return plain


def _out_of_range(field: dataclasses.Field[Any], value: Any) -> str:
    rule = field.metadata
    if value is None or not rule:
        return ""
    if rule["choices"] is not None and value not in rule["choices"]:
        return f"{field.name}={value!r}{suggestion(str(value), map(str, rule['choices']))}"
    wrong = (
        (rule["low"] is not None and not value >= rule["low"])
        or (rule["high"] is not None and not value <= rule["high"])
        or (rule["above"] is not None and not value > rule["above"])
    )
    return f"{field.name}={value} is out of range; it must be {describe_range(rule)}" if wrong else ""


def describe_range(rule: Mapping[str, Any]) -> str:
    """Return the bounds of a parameter's metadata in words: "at least 0 and at most 1"."""
    words = (("low", "at least"), ("above", "above"), ("high", "at most"))
    return " and ".join(f"{word} {rule[key]:g}" for key, word in words if rule.get(key) is not None)
