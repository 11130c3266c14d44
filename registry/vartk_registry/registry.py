"""Looks components up by kind and name, and builds them with checked parameters."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import MissingRequirement, PluginError, UnknownName, VartkError, refusal
from .kinds import KINDS
from .params import changed, merge_params
from .showing import show_as_built
from .spec import ComponentSpec


class Registry:
    """The components that are known, by (kind, name); nothing is imported before it is built."""

    def __init__(self) -> None:
        self._specs: dict[tuple[str, str], ComponentSpec] = {}
        self._origins: dict[tuple[str, str], str] = {}

    def add(self, specs: Iterable[ComponentSpec], distribution: str) -> None:
        """Add the components of one distribution, all or none.

        Raises:
            PluginError: a (kind, name) is already taken; the message names both distributions.
        """
        added: dict[tuple[str, str], ComponentSpec] = {}
        for spec in specs:
            for name in (spec.name, *spec.aliases):
                key = spec.kind, name
                if key in added or key in self._specs:
                    owner = self._origins.get(key, distribution)
                    raise PluginError(
                        f"{spec.kind} {name!r} is registered twice: by {owner} and by "
                        f"{distribution}; uninstall one of them or rename the component"
                    )
                added[key] = spec
        self._specs |= added
        self._origins |= dict.fromkeys(added, distribution)

    def names(self, kind: str) -> list[str]:
        """Return the names of a kind's components, sorted, without aliases."""
        return [spec.name for spec in self.specs(kind)]

    def specs(self, kind: str | None = None) -> list[ComponentSpec]:
        """Return the components of one kind or of all, sorted by kind and name."""
        if kind is not None and kind not in KINDS:
            raise UnknownName("kind of component", kind, KINDS)
        order = list(KINDS)
        found = {id(spec): spec for spec in self._specs.values() if kind in (None, spec.kind)}
        return sorted(found.values(), key=lambda spec: (order.index(spec.kind), spec.name))

    def find(self, kind: str, name: str) -> ComponentSpec:
        """Return a component's description by name or alias; `UnknownName` where there is none."""
        spec = self._specs.get((kind, name))
        if spec is None:
            raise UnknownName(kind, name, self.names(kind))
        return spec

    def origin(self, spec: ComponentSpec) -> str:
        """Return the distribution that registered a component."""
        return self._origins[spec.kind, spec.name]

    def missing(self, spec: ComponentSpec) -> list[str]:
        """Return the modules that a component requires and that are not installed."""
        return [name for name in spec.requires if not _importable(name)]

    def require(self, spec: ComponentSpec) -> None:
        """Raise `MissingRequirement` where a component's library is not installed; it has the hint."""
        if absent := self.missing(spec):
            hint = f"; {spec.install_hint}" if spec.install_hint else ""
            raise MissingRequirement(f"{spec.kind} {spec.name!r} needs {', '.join(absent)}{hint}")

    def params(self, kind: str, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a component's parameters: its defaults with `params` merged in, checked and typed.

        Raises:
            ParamErrors: unknown keys, wrong types and values out of range, all of them at once.
        """
        spec = self.find(kind, name)
        return merge_params(self.config_class(spec), params, f"{kind} {name!r}")

    def config_class(self, spec: ComponentSpec) -> type | None:
        """Return the dataclass of a component's parameters, or None where it takes none."""
        return self._attribute(spec, spec.config) if spec.config else None

    def build(self, kind: str, name: str, params: Mapping[str, Any], **runtime: Any) -> Any:
        """Build a component: its target called with the checked parameters and `runtime`.

        A deprecated component warns with what to use in its place.

        Raises:
            UnknownName, ParamErrors: as `find` and `params`.
            MissingRequirement: a library it needs is not installed.
            VartkError: the operating system refuses a path among the parameters; errors of the component.
        """
        spec = self.find(kind, name)
        arguments = self.params(kind, name, params)
        self.require(spec)
        if spec.deprecated:
            warnings.warn(f"{kind} {name!r} is deprecated; {spec.deprecated}", FutureWarning, stacklevel=2)
        target: Callable[..., Any] = self._attribute(spec, spec.target)
        try:
            built = target(**arguments, **runtime)
        except OSError as error:
            if error.filename is None:
                raise
            raise VartkError(f"{kind} {spec.name}: {refusal(error)}") from error
        interface = self._attribute(spec, KINDS[kind].interface)
        lacking = [m for m in _members(interface) if not hasattr(built, m)]
        if lacking:
            raise PluginError(
                f"{kind} {name!r} of {self.origin(spec)} lacks {', '.join(lacking)}, "
                f"which every {kind} must have (see {KINDS[kind].interface})"
            )
        show_as_built(built, spec, changed(self.config_class(spec), arguments), runtime)
        return built

    def _attribute(self, spec: ComponentSpec, target: str) -> Any:
        module, _, attribute = target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:  # a broken library fails in its own way: OSError, RuntimeError
            raise VartkError(
                f"{spec.kind} {spec.name!r} of {self.origin(spec)} cannot be imported "
                f"from {target!r}: {error}"
            ) from error


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # the parent of a dotted name is not there
        return False


def _members(interface: type) -> set[str]:
    """Return the public names that a protocol demands."""
    names: set[str] = set()
    for cls in interface.__mro__:
        if getattr(cls, "_is_protocol", False):
            names |= set(inspect.get_annotations(cls)) | set(vars(cls))
    wanted = {name for name in names if not name.startswith("_")}
    return wanted | ({"__call__"} if "__call__" in names else set())
