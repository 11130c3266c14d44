"""Classes that a user names: by index, or by name."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from .errors import VartkError, shown, suggestion

LISTED = 20
"""Names of classes that a message lists, at most."""


def class_index(value: Any, names: Sequence[str], count: int | None = None) -> int:
    """Return the index of a class that is given by index (a number or its digits) or by name.

    A name is matched exactly, else without regard to case.

    Args:
        names: of the classes, by index; empty where they have none.
        count: number of classes; that of the names where None.

    Raises:
        VartkError: an index out of range, a name that is unknown or that several classes have, or another
            type.
    """
    count = len(names) if count is None else count
    if isinstance(value, str):
        return _by_name(value.strip(), names, count)
    if isinstance(value, Integral) and not isinstance(value, bool):
        return _checked(int(value), count)
    raise VartkError(f"class {shown(value)} is neither an index nor a name")


def _by_name(name: str, names: Sequence[str], count: int) -> int:
    found = [index for index, known in enumerate(names) if known == name]
    if not found and name.isdecimal():
        return _checked(int(name), count)
    if not found:
        found = [index for index, known in enumerate(names) if known.casefold() == name.casefold()]
    if not found:
        known = suggestion(name, names, LISTED) if names else _range(count)
        raise VartkError(f"unknown class {shown(name)}{known}")
    if len(found) > 1:
        indices = ", ".join(map(str, found))
        raise VartkError(f"class {name!r} is the name of {indices}; give the index instead")
    return found[0]


def _checked(index: int, count: int) -> int:
    if not 0 <= index < count:
        raise VartkError(f"class {index} is out of range{_range(count)}")
    return index


def _range(count: int) -> str:
    return f"; give an index from 0 to {count - 1}"
