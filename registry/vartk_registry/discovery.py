"""Finds plugins, isolates the ones that fail, and collects what the others offer."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from .errors import PluginError, UnknownName
from .hooks import ENTRY_POINTS, PROJECT, Hooks
from .registry import Registry
from .spec import CommandSpec, ComponentSpec, PresetSpec

BUILTIN = "vartk"
"""The distribution that built-in plugins are reported under."""


@dataclass(frozen=True, slots=True)
class PluginReport:
    """What became of one plugin: where it came from, and its error where it failed to load."""

    name: str
    distribution: str
    version: str = ""
    components: tuple[str, ...] = ()
    error: str = ""
    details: str = ""

    @property
    def ok(self) -> bool:
        return not self.error


@dataclass(slots=True)
class Plugins:
    """Everything that the installed plugins offer, and a report on each of them."""

    registry: Registry = field(default_factory=Registry)
    presets: dict[str, PresetSpec] = field(default_factory=dict)
    commands: dict[str, CommandSpec] = field(default_factory=dict)
    reports: list[PluginReport] = field(default_factory=list)
    hooks: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(PROJECT))

    def preset(self, name: str) -> PresetSpec:
        """Return a preset by name; `UnknownName` where there is none."""
        try:
            return self.presets[name]
        except KeyError:
            raise UnknownName("preset", name, self.presets) from None

    def environment(self) -> Iterator[tuple[str, str]]:
        """Yield the (what, value) lines that plugins add to `vartk env`."""
        for lines in self.hooks.hook.vartk_environment():
            yield from lines

    def check(self, config: dict[str, Any]) -> list[str]:
        """Return what plugins find wrong with a composed configuration."""
        found = self.hooks.hook.vartk_check(config=config, registry=self.registry)
        return [problem for problems in found for problem in problems]


def discover(builtins: Iterable[str] = (), group: str = ENTRY_POINTS) -> Plugins:
    """Load the built-in modules, then every installed entry point of `group`.

    A plugin that fails in any way (import, malformed spec, a name already taken) offers nothing and is
    reported; the others are unaffected.
    """
    plugins = Plugins()
    plugins.hooks.add_hookspecs(Hooks)
    for module in builtins:
        _load(plugins, module, BUILTIN, "", lambda module=module: importlib.import_module(module))
    for entry in _unique(entry_points(group=group)):
        distribution = entry.dist.name if entry.dist else entry.value
        version = entry.dist.version if entry.dist else ""
        _load(plugins, entry.name, distribution, version, entry.load)
    return plugins


def _unique(entries: Iterable[EntryPoint]) -> list[EntryPoint]:
    """Drop repeats, which an editable install and its source folder on sys.path both announce."""
    return sorted({(e.name, e.value): e for e in entries}.values(), key=lambda e: e.name)


def _load(
    plugins: Plugins, name: str, distribution: str, version: str, load: Callable[[], object]
) -> None:
    manager = plugins.hooks
    try:
        plugin = load()
        manager.register(plugin, name=name)
        manager.check_pending()
        others = [other for other in manager.get_plugins() if other is not plugin]
        components = _gather(manager, "vartk_components", others, ComponentSpec)
        presets = _gather(manager, "vartk_presets", others, PresetSpec)
        commands = _gather(manager, "vartk_commands", others, CommandSpec)
        _claim(plugins.presets, presets, "preset", distribution)
        _claim(plugins.commands, commands, "command", distribution)
        plugins.registry.add(components, distribution)
    except Exception as error:  # the one place that must survive any third party's mistake
        if manager.has_plugin(name):
            manager.unregister(name=name)
        kind = "" if isinstance(error, PluginError) else f"{type(error).__name__}: "
        report = PluginReport(
            name,
            distribution,
            version,
            error=f"{kind}{error}",
            details="".join(traceback.format_exception(error)),
        )
        plugins.reports.append(report)
        return
    plugins.presets.update({spec.name: spec for spec in presets})
    plugins.commands.update({spec.name: spec for spec in commands})
    offered = tuple(f"{spec.kind}/{spec.name}" for spec in components)
    plugins.reports.append(PluginReport(name, distribution, version, offered))


def _gather(manager: pluggy.PluginManager, hook: str, others: list[Any], wanted: type) -> list[Any]:
    """Call one hook of the plugin that is being loaded, and check what it returns."""
    found: list[Any] = []
    for offered in manager.subset_hook_caller(hook, others)():
        found.extend(offered)
    for item in found:
        if not isinstance(item, wanted):
            raise PluginError(f"{hook} must return {wanted.__name__} objects, not {item!r}")
    return found


def _claim(taken: dict[str, Any], specs: list[Any], what: str, distribution: str) -> None:
    for spec in specs:
        if spec.name in taken:
            raise PluginError(f"{what} {spec.name!r} of {distribution} is already taken")
