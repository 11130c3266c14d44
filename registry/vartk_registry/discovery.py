"""Finds plugins, isolates the ones that fail, and collects what the others offer."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from .errors import PluginError, UnknownName, VartkError
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
        """Whether the plugin was loaded."""
        return not self.error


@dataclass(slots=True)
class Plugins:
    """Everything that the installed plugins offer, and a report on each of them."""

    registry: Registry = field(default_factory=Registry)
    presets: dict[str, PresetSpec] = field(default_factory=dict)
    commands: dict[str, CommandSpec] = field(default_factory=dict)
    origins: dict[tuple[str, str], str] = field(default_factory=dict)
    """The distribution of each preset and command, by ("preset" or "command", name)."""
    reports: list[PluginReport] = field(default_factory=list)
    hooks: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(PROJECT))

    def preset(self, name: str) -> PresetSpec:
        """Return a preset by name; `UnknownName` where there is none."""
        try:
            return self.presets[name]
        except KeyError:
            raise UnknownName("preset", name, self.presets) from None

    def environment(self) -> Iterator[tuple[str, str]]:
        """Yield the (what, value) lines that plugins add to `vartk env`, failures included."""
        for plugin, lines, error in self._ask("vartk_environment"):
            yield from lines
            if error:
                yield plugin, f"failed: {error}"

    def check(self, config: dict[str, Any]) -> list[str]:
        """Return what plugins find wrong with a composed configuration, failures included."""
        found = []
        for plugin, problems, error in self._ask("vartk_check", config=config, registry=self.registry):
            found.extend(problems)
            if error:
                found.append(f"plugin {plugin} failed to check the configuration: {error}")
        return found

    def _ask(self, hook: str, **arguments: Any) -> Iterator[tuple[str, list[Any], str]]:
        """Call a hook plugin by plugin: yield its name, its answers and any error."""
        for implementation in getattr(self.hooks.hook, hook).get_hookimpls():
            answers, error = [], ""
            try:
                values = [arguments[name] for name in implementation.argnames]
                answers = list(implementation.function(*values) or ())
            except Exception as failure:
                error = _described(failure)
            yield implementation.plugin_name, answers, error


def discover(builtins: Iterable[str] = (), group: str = ENTRY_POINTS) -> Plugins:
    """Load the built-in modules, then every installed entry point of `group`.

    A plugin that fails in any way (import, malformed spec, a name already taken) offers nothing and
    is reported; the others are unaffected.
    """
    plugins = Plugins()
    plugins.hooks.add_hookspecs(Hooks)
    for module in builtins:
        _load(plugins, module, BUILTIN, "", partial(importlib.import_module, module))
    for entry in _unique(entry_points(group=group)):
        distribution = entry.dist.name if entry.dist else entry.value
        version = entry.dist.version if entry.dist else ""
        _load(plugins, entry.name, distribution, version, entry.load)
    return plugins


def _unique(entries: Iterable[EntryPoint]) -> list[EntryPoint]:
    """Drop repeats, which an editable install and its source folder on sys.path both announce."""
    return sorted({(e.name, e.value): e for e in entries}.values(), key=lambda e: e.name)


def _load(plugins: Plugins, name: str, distribution: str, version: str, load: Callable[[], object]) -> None:
    """Load one plugin and report on it."""
    try:
        components = _adopt(plugins, load(), f"{name} ({distribution})", distribution)
    except (Exception, SystemExit) as error:  # must survive any mistake of a third party
        report = PluginReport(
            name,
            distribution,
            version,
            error=_described(error),
            details="".join(traceback.format_exception(error)),
        )
    else:
        offered = tuple(f"{spec.kind}/{spec.name}" for spec in components)
        report = PluginReport(name, distribution, version, offered)
    plugins.reports.append(report)


def _adopt(plugins: Plugins, plugin: object, label: str, distribution: str) -> list[ComponentSpec]:
    """Take in everything that a plugin offers, or nothing; return its components."""
    manager = plugins.hooks
    _require_known_hooks(manager, plugin)
    if manager.is_registered(plugin) or manager.has_plugin(label):
        raise PluginError("it is announced twice")
    try:
        manager.register(plugin, name=label)
        components = _gather(manager, "vartk_components", plugin, ComponentSpec)
        presets = _gather(manager, "vartk_presets", plugin, PresetSpec)
        commands = _gather(manager, "vartk_commands", plugin, CommandSpec)
        origins = _claimed(plugins.origins, presets, "preset", distribution)
        origins |= _claimed(plugins.origins, commands, "command", distribution)
        plugins.registry.add(components, distribution)
    except BaseException:
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        raise
    plugins.presets.update({spec.name: spec for spec in presets})
    plugins.commands.update({spec.name: spec for spec in commands})
    plugins.origins.update(origins)
    return components


def _require_known_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    options = {name: manager.parse_hookimpl_opts(plugin, name) for name in dir(plugin)}
    hooks = [found.get("specname") or name for name, found in options.items() if found]
    if not hooks:
        raise PluginError("it has no function marked with @vartk_registry.hookimpl")
    valid = [hook for hook in vars(Hooks) if not hook.startswith("_")]
    for hook in hooks:
        if hook not in valid:
            raise UnknownName("hook", hook, valid)


def _gather(manager: pluggy.PluginManager, hook: str, plugin: object, wanted: type) -> list[Any]:
    """Call one hook of the plugin that is being loaded, and check what it returns."""
    found: list[Any] = []
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        if implementation.plugin is plugin:
            offered = implementation.function()
            if not isinstance(offered, Iterable):
                raise PluginError(f"{hook} must return {wanted.__name__} objects, not {offered!r}")
            found.extend(offered)
    for item in found:
        if not isinstance(item, wanted):
            raise PluginError(f"{hook} must return {wanted.__name__} objects, not {item!r}")
    return found


def _claimed(
    taken: dict[tuple[str, str], str], specs: list[Any], what: str, distribution: str
) -> dict[tuple[str, str], str]:
    """Return the origin of each preset or command; `PluginError` where a name is taken."""
    claimed: dict[tuple[str, str], str] = {}
    for spec in specs:
        key = what, spec.name
        if owner := (taken | claimed).get(key):
            raise PluginError(
                f"{what} {spec.name!r} is registered twice: by {owner} and by {distribution}; "
                f"uninstall one of them or rename the {what}"
            )
        claimed[key] = distribution
    return claimed


def _described(error: BaseException) -> str:
    """Return an error's message, with its type where it is not one of ours."""
    return str(error) if isinstance(error, VartkError) else f"{type(error).__name__}: {error}"
