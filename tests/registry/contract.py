"""Writes contract.txt, the public names of vartk_registry with their signatures.

    python tests/registry/contract.py

Plugins depend on these names. `test_contract.py` fails when one of them is gone or changed.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

RECORD = Path(__file__).with_name("contract.txt")
PACKAGES = ("vartk_registry", "vartk_registry.interfaces", "vartk_registry.testing")


def lines() -> list[str]:
    """Return a line for each public name, and for each member of a public class."""
    found: set[str] = set()
    for module in _modules():
        found.update(_names(module))
    return sorted(found)


def _modules() -> Iterator[ModuleType]:
    """Yield the packages with their public names, and the modules that only plugins import."""
    yield from map(importlib.import_module, PACKAGES)
    shown = {home for package in PACKAGES for home in _homes(sys.modules[package])}
    for info in pkgutil.iter_modules(sys.modules["vartk_registry"].__path__, "vartk_registry."):
        if not info.ispkg and info.name not in shown:
            yield importlib.import_module(info.name)


def _homes(package: ModuleType) -> set[str]:
    """Return the modules from which a package takes its public names."""
    return {getattr(getattr(package, name), "__module__", "") for name in package.__all__}


def _names(module: ModuleType) -> Iterator[str]:
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    for name in names:
        yield from _described(f"{module.__name__}.{name}", getattr(module, name))


def _described(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        yield name
        for member, kind in sorted(_members(value).items()):
            yield f"{name}.{member}{kind}"
    elif inspect.isfunction(value):
        yield f"{name}{_signature(value)}"
    else:
        yield name


def _members(cls: type) -> dict[str, str]:
    """Return the public attributes and methods of a class of ours, with their types and signatures."""
    members: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("vartk_registry"):
            members |= {key: f": {kind}" for key, kind in inspect.get_annotations(base).items()}
            members |= {key: _kind(member) for key, member in vars(base).items() if _public(key, member)}
    if dataclasses.is_dataclass(cls):
        members |= {field.name: f": {field.type}" for field in dataclasses.fields(cls)}
    return {name: kind for name, kind in members.items() if name == "__call__" or not name.startswith("_")}


def _public(name: str, member: Any) -> bool:
    wanted = callable(member) or isinstance(member, (property, classmethod))
    return wanted and (name == "__call__" or not name.startswith("_"))


def _kind(member: Any) -> str:
    function = getattr(member, "__func__", member)
    return _signature(function) if inspect.isfunction(function) else ""


def _signature(function: Callable[..., Any]) -> str:
    return re.sub(r" at 0x\w+", "", str(inspect.signature(function)))  # a default may be a function


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    sys.path[:0] = [str(root / "registry"), str(root)]
    RECORD.write_text("\n".join(lines()) + "\n")
