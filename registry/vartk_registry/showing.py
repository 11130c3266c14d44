"""How components show themselves: `print` and notebooks say what was built, not where it lies in memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .errors import counted, shown
from .spec import ComponentSpec

_TEXT = "_vartk_shown"
_PLAIN = (str, int, float, bool)


def show_as_built(
    built: Any, spec: ComponentSpec, parameters: Mapping[str, Any], runtime: Mapping[str, Any]
) -> None:
    """Give a component, whose class has no `__repr__` of its own, one with its kind, name and arguments.

    It reads "dataset folder(path='pictures', split='train'), 120 examples". The class gets the method when
    its first object is built. A dataclass and an `nn.Module` have their own.

    Args:
        parameters: those that are not at their defaults.
        runtime: what else it was built with, of which only plain values are shown.
    """
    cls: Any = type(built)
    if cls.__repr__ is object.__repr__:
        with suppress(TypeError):  # a type of C cannot be changed
            cls.__repr__ = _repr
    if cls.__repr__ is _repr:
        values = {**parameters, **{key: each for key, each in runtime.items() if isinstance(each, _PLAIN)}}
        arguments = ", ".join(f"{key}={shown(value)}" for key, value in values.items())
        with suppress(AttributeError):  # it has no place for it
            setattr(built, _TEXT, f"{spec.kind} {spec.name}({arguments})")


def _repr(self: object) -> str:
    text = getattr(self, _TEXT, None)
    if text is None:  # built by hand
        return f"{type(self).__name__}()"
    return f"{text}, {counted(len(self), 'example')}" if hasattr(self, "__len__") else str(text)
