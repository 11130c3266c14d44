"""Finds plugins, isolates the ones that fail, and collects what the others offer."""

from __future__ import annotations

import importlib
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
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
    """What became of one plugin.

    Attributes:
        name: of its entry point, or the module of a built-in one.
        distribution, version: where it comes from.
        components: what it offers, as "kind/name".
        error: why it failed to load; empty if it did not.
        details: the traceback of the error.
        blocked: True if it was not asked for, so that it was not imported.
        seconds: how long it took to import it and to gather what it offers.
    """

    name: str
    distribution: str
    version: str = ""
    components: tuple[str, ...] = ()
    error: str = ""
    details: str = ""
    blocked: bool = False
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the plugin did not fail."""
        return not self.error

    @property
    def state(self) -> str:
        """What became of it in one word: loaded, blocked or failed."""
        return "failed" if self.error else "blocked" if self.blocked else "loaded"


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


def discover(builtins: Iterable[str] = (), group: str = ENTRY_POINTS, chosen: str = "") -> Plugins:
    """Load the built-in modules, then the installed entry points of `group` in the order of their names.

    A plugin that fails in any way (import, malformed spec, a name already taken) offers nothing and
    is reported; the others are unaffected.

    Args:
        chosen: which entry points to load: "a,b" these alone, "-a,-b" all but these, "none", or "" for all.

    Raises:
        VartkError: `chosen` names a plugin that is not installed, or mixes both forms.
    """
    plugins = Plugins()
    plugins.hooks.add_hookspecs(Hooks)
    for module in builtins:
        _load(plugins, module, BUILTIN, "", partial(importlib.import_module, module))
    entries = _unique(entry_points(group=group))
    allowed = _allowed(chosen, [entry.name for entry in entries])
    for entry in entries:
        distribution = entry.dist.name if entry.dist else entry.value
        version = entry.dist.version if entry.dist else ""
        if entry.name in allowed:
            _load(plugins, entry.name, distribution, version, entry.load)
        else:
            plugins.reports.append(PluginReport(entry.name, distribution, version, blocked=True))
    return plugins


def _allowed(chosen: str, names: list[str]) -> set[str]:
    """Return the names that `chosen` allows, as `discover` describes it."""
    words = [word.strip() for word in chosen.split(",") if word.strip()]
    blocking = {word.startswith("-") for word in words}
    if len(blocking) > 1:
        raise VartkError(
            f"the choice of plugins {chosen!r} both allows and blocks; give names alone, or -names alone"
        )
    if words == ["none"]:
        return set()
    given = {word.removeprefix("-") for word in words}
    for name in sorted(given - set(names)):
        raise UnknownName("plugin in the choice of plugins", name, names)
    return set(names) - given if blocking != {False} else given


def _unique(entries: Iterable[EntryPoint]) -> list[EntryPoint]:
    """Drop repeats, which an editable install and its source folder on sys.path both announce."""
    return sorted({(e.name, e.value): e for e in entries}.values(), key=lambda e: e.name)


def _load(plugins: Plugins, name: str, distribution: str, version: str, load: Callable[[], object]) -> None:
    """Load one plugin and report on it."""
    start = time.perf_counter()
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
    plugins.reports.append(replace(report, seconds=time.perf_counter() - start))


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
